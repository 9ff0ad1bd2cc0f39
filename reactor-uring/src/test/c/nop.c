/*
 * What a no-op through io_uring costs in C: the same setup flags, the same raw system calls and the same order of
 * work as Ring, one io_uring_enter for each batch. The measure for NopBenchmark, which compiles it when it runs.
 */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ring {
	int fd;
	unsigned *sq_head, *sq_tail, *cq_head, *cq_tail;
	unsigned sq_mask, cq_mask, tail, head;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

struct ring *nop_open(unsigned entries, unsigned flags)
{
	struct io_uring_params p = { .flags = flags | IORING_SETUP_CQSIZE, .cq_entries = 2 * entries };
	struct ring *r = calloc(1, sizeof(*r));
	unsigned char *rings;

	r->fd = syscall(SYS_io_uring_setup, entries, &p);
	if (r->fd < 0)
		return NULL;
	rings = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES);
	r->sq_head = (unsigned *)(rings + p.sq_off.head);
	r->sq_tail = (unsigned *)(rings + p.sq_off.tail);
	r->cq_head = (unsigned *)(rings + p.cq_off.head);
	r->cq_tail = (unsigned *)(rings + p.cq_off.tail);
	r->cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
	r->sq_mask = p.sq_entries - 1;
	r->cq_mask = p.cq_entries - 1;
	return r;
}

/* Each batch: write the entries, publish the tail, enter once, read what completed. Returns the completions seen. */
long nop_run(struct ring *r, long batches, unsigned batch)
{
	long seen = 0;

	for (long i = 0; i < batches; i++) {
		for (unsigned j = 0; j < batch; j++) {
			struct io_uring_sqe *sqe = &r->sqes[r->tail++ & r->sq_mask];

			memset(sqe, 0, sizeof(*sqe));
			sqe->opcode = IORING_OP_NOP;
			sqe->fd = -1;
			sqe->user_data = j;
		}
		__atomic_store_n(r->sq_tail, r->tail, __ATOMIC_RELEASE);
		if (syscall(SYS_io_uring_enter, r->fd, batch, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
			return -1;
		while (r->head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE)) {
			struct io_uring_cqe *cqe = &r->cqes[r->head & r->cq_mask];

			seen += cqe->res == 0;
			__atomic_store_n(r->cq_head, ++r->head, __ATOMIC_RELEASE);
		}
	}
	return seen;
}

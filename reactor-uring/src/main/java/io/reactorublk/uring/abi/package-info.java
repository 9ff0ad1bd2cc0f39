/**
 * The kernel's structures and constants, as jextract wrote them: {@code io_uring_h} for
 * {@code linux/io_uring.h}, {@code errno_h} for the error numbers, {@code linux_h} for what file
 * operations need of the other headers. Nobody corrects these files by hand; they are made anew:
 *
 * {@snippet lang=shell :
 * INCLUDE="-I $HEADERS/usr/include -I $HEADERS/usr/include/x86_64-linux-gnu"
 * cd reactor-uring/src/main
 * $JEXTRACT $INCLUDE --output java @jextract/io_uring.args $HEADERS/usr/include/linux/io_uring.h
 * $JEXTRACT $INCLUDE --output java @jextract/errno.args $HEADERS/usr/include/linux/errno.h
 * $JEXTRACT $INCLUDE --output java @jextract/linux.args jextract/linux_all.h
 * sed -i -e '/withTargetLayout/d' -e '/ C_LONG = /d' \
 *     -e 's/= ((AddressLayout)\(.*\))$/= (AddressLayout)\1;/' \
 *     java/io/reactorublk/uring/abi/abi_shared.java
 * }
 *
 * <p>The {@code sed} is the only edit. {@code withTargetLayout} is a restricted method, and
 * {@code abi_shared} would call it as soon as anybody asks for a constant. Nothing here has a
 * pointer in it, so the layout of a pointer's target is not missed. {@code C_LONG} is taken
 * for 64 bits, which it is not everywhere: on Windows no constant could be asked for. Nothing here
 * uses it.
 *
 * <p>{@code $HEADERS} is where the Debian package linux-libc-dev 7.2.13-1 was unpacked, and
 * {@code $JEXTRACT} is jextract at commit f9866df3a178 of 2026-08-21, with libclang 14.0.6: since
 * version 16 libclang gives anonymous structures a name, which stops that jextract.
 *
 * {@snippet lang=text :
 * SHA-256
 * 8b33c2a408bbab537e753102dce181dc211007f64c1e2516065bc677f60d5d99  linux-libc-dev_7.2.13-1_all.deb
 * in usr/include of it
 * 8488b223988fe798a9c1c81d13a550a27cac1f096bdd016ef9eb5e51adaf46a7  linux/io_uring.h
 * c52674650503e77abf65d3f68dba9b2f72d3244b27229b15fd8ec4f01e59da1d  linux/time_types.h
 * a47fb2f49bce0546a1e88805cec954338abb1b2ac87de042166e8e3a74b23261  linux/errno.h
 * 66a5ad60566fdd62e41701bcfc42bfeca5e5696ad1d47d78981575e0c51622be  asm-generic/errno.h
 * 2c148e92b8318deeb767fabd60822113e575ee664ff09a1873aed8f7a495793c  asm-generic/errno-base.h
 * cbaaae4a5c71c5988ccffa4b292770be689e90ce6246f77237518bd4f1658eba  linux/eventfd.h
 * 222f9d0ce45ce75c51926b56259258d78254b17d5e6a87b6dddf082f22865100  linux/fadvise.h
 * 67210a836eee09c18aa02e4c18d12291f97267d3fbaaf5d6ae215837852cd777  linux/falloc.h
 * 97a6f7544099b95d90b217acd59ec32301ef9f950d12532deed07eea50ab2356  linux/fcntl.h
 * b56fbe3b81f4670b85384e933b02b67bdfa95629c6686544e090eb14c99f09ba  asm-generic/fcntl.h
 * 44bcddbf607873b5de0777891cf34bf0511a9946da02216830d36d4bffc3570d  linux/fs.h
 * ef21ecb31849e1330b775f9f28f084f2ac73446379dcf8d4450d5860d7f34b48  linux/mman.h
 * bd9550ecdd91d875315f2c8965263e30b5457611526d7e0db69943843f536343  asm-generic/mman.h
 * 52849c062488fdaaa877e7a491bec38643e732dc04baa2f6e15b365ab77eb504  asm-generic/mman-common.h
 * c40ece4f669c11a4536e791777af66ddd5749cfc5404a8788ff76a7e741e9b60  asm-generic/resource.h
 * 87e50dc83d684b8d78087b8a0ff0e5100c453ac1bba4480853374049362702dc  linux/prctl.h
 * 32bb5a3e3064a8c83db9666783fa1196c606580a179cd9c8f993203eddb4af73  linux/stat.h
 * }
 *
 * <p>A constant is a method here. It is as wide as the C expression, and signed even where C is not:
 * {@code IORING_REGISTER_USE_REGISTERED_RING()} is a negative {@code int}. {@code linux_h} holds
 * the values of x86-64; some {@code O_*} differ on other processors. Getters and setters are plain
 * accesses: what the kernel reads or writes at the same time goes through a {@code VarHandle}.
 *
 * <p>{@code AbiTest} holds every size, offset and constant against the C compiler.
 */
package io.reactorublk.uring.abi;

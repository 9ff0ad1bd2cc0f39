#include <asm/mman.h>
#include <asm/resource.h>
#include <linux/eventfd.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/stat.h>

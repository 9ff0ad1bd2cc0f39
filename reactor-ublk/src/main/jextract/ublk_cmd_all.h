/* ublk_cmd.h uses _IOR, _IOWR and ENODEV without including them. */
#include <linux/errno.h>
#include <linux/ioctl.h>
#include <linux/ublk_cmd.h>

/**
 * The structures and constants of {@code linux/ublk_cmd.h}, as jextract wrote them. Nobody corrects
 * these files by hand; they are made anew:
 *
 * {@snippet lang=shell :
 * INCLUDE="-I $HEADERS/usr/include -I $HEADERS/usr/include/x86_64-linux-gnu"
 * cd reactor-ublk/src/main
 * $JEXTRACT $INCLUDE --output java @jextract/ublk_cmd.args jextract/ublk_cmd_all.h
 * sed -i -e '/withTargetLayout/d' -e '/ C_LONG = /d' \
 *     -e 's/= ((AddressLayout)\(.*\))$/= (AddressLayout)\1;/' \
 *     java/io/reactorublk/abi/abi_shared.java
 * }
 *
 * <p>The {@code sed} is the only edit. {@code withTargetLayout} is a restricted method, and
 * {@code abi_shared} would call it as soon as anybody asks for a constant: this module would need
 * native access for the layout of a pointer, and no structure here has one. {@code C_LONG} is taken
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
 * 97b28d119e1daae66bc5b73a683df27df2af7fa0222bdf64e7d9335c03d1adc3  linux/ublk_cmd.h
 * c61365a9b4282a9ac583ce3d417e09e8dfce75458b64d45179640c82eafa7eed  asm-generic/ioctl.h
 * 2c148e92b8318deeb767fabd60822113e575ee664ff09a1873aed8f7a495793c  asm-generic/errno-base.h
 * }
 *
 * <p>A constant is a method here. It is as wide as the C expression, and signed even where C is not:
 * {@code UBLKSRV_IO_BUF_OFFSET()} is a negative {@code int} and has to be widened with
 * {@link java.lang.Integer#toUnsignedLong} before it is an offset. Getters and setters are plain
 * accesses. The inline functions of the header, {@code ublksrv_get_op} and the like, are not here:
 * jextract writes none.
 *
 * <p>{@code AbiTest} holds every size, offset and constant against the C compiler.
 */
package io.reactorublk.abi;

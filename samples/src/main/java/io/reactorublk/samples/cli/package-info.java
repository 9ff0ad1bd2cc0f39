/**
 * The command {@code reactor-ublk}: makes devices, and looks at and changes those of this machine.
 *
 * <p>Start with {@link io.reactorublk.samples.cli.ReactorUblk}, where the commands are.
 */
@NullMarked
package io.reactorublk.samples.cli;

import org.jspecify.annotations.NullMarked;

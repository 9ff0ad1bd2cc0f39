/**
 * Targets to use and to copy from, and {@linkplain io.reactorublk.target.Filters filters} that change any target. They are
 * made of the public API only: whatever they do, a target of yours can do.
 */
@NullMarked
package io.reactorublk.target;

import org.jspecify.annotations.NullMarked;

/** What samples have in common. */
@NullMarked
package io.reactorublk.samples;

import org.jspecify.annotations.NullMarked;

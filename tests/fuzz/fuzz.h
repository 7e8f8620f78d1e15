/* fuzz.h - what a fuzz target is.
 *
 * A target reads any bytes without harm, and asserts what must hold for all of
 * them: agreement with a second implementation, or that a round trip ends where
 * it began. It keeps nothing between two calls. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Called by libFuzzer, or by replay.c for each file of a corpus. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

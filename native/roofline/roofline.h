/*
 * roofline.h - the C interface of libprecis_roofline, which measures what a machine can do: the
 * bandwidth of its memory and caches, and the rate of its arithmetic (Williams et al. 2009). It
 * shares no code with libprecis, whose kernels are held to what it measures.
 */
#ifndef PRECIS_ROOFLINE_H_
#define PRECIS_ROOFLINE_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PRECIS_ROOFLINE_API __attribute__((visibility("default")))

/* The number of loops that this processor can run. */
PRECIS_ROOFLINE_API int32_t precis_roofline_count(void);

/*
 * Describes a loop, from 0, as "kind,set,instruction"; NULL if there is no such loop. Kinds:
 *
 *   read      reads an array of footprint bytes
 *   update    changes such an array in place: bytes read and bytes written count
 *   float32   multiply-adds in registers; an addition and a multiplication are two operations
 *   bfloat16  likewise, dot products of bfloat16
 *   int8      likewise, dot products of bytes
 */
PRECIS_ROOFLINE_API const char* precis_roofline_describe(int32_t loop);

/*
 * Measures a loop, and returns bytes or operations a second of all threads together: those of the
 * best round, because a slower one measures what else the machine was doing.
 *
 * cores      (threads): the core that each thread is pinned to; NULL: they are not pinned
 * footprint  bytes of all threads' arrays together, rounded down to whole blocks of a cache line
 *            or more for each thread; ignored where no memory is touched
 * seconds    that it takes, about
 *
 * Returns 0 if there is no such loop or an argument makes no sense, -1 if there is not so much memory
 * or so many threads cannot be started.
 */
PRECIS_ROOFLINE_API double precis_roofline_measure(int32_t loop, const int32_t* cores,
                                                   int32_t threads, int64_t footprint,
                                                   double seconds);

/*
 * Runs the arithmetic of a loop on ones and returns the sum of its accumulators: the multiply-adds
 * that were executed. It is half of the operations that precis_roofline_measure counts, which
 * *counted receives. Sums are exact for 1 to 1000 steps. Returns -1 for a loop that touches memory.
 */
PRECIS_ROOFLINE_API double precis_roofline_check(int32_t loop, int64_t steps, double* counted);

/* Bytes of the last-level cache; 32 MB where the system does not say. */
PRECIS_ROOFLINE_API int64_t precis_roofline_cache(void);

#ifdef __cplusplus
}
#endif

#endif /* PRECIS_ROOFLINE_H_ */

/* kernels/directions.h -- the directions in which vectors are longest. */
#ifndef KERNELS_DIRECTIONS_H
#define KERNELS_DIRECTIONS_H

#include "core/context.h"

/* P (d,k): d directions, at right angles to each other, along which the rows of A (n,k), finite, have most of their length;
 * nearly the first right singular vectors of A. By subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4), from
 * some of the rows. d: at most k and n. Whatever the rounding errors, no x is shorter than P x. room: for scratch. */
void tg__longest_directions(tg_context *cx, arena *room, int n, int k, const tg_real *A, int d, tg_real *P);

#endif

/* kernels/sequence.h -- sequences of different lengths, packed so that padding is never computed.
 *
 * Rows are put in order of falling length. Then at every step the rows still running are the first
 * active[t] ones, and their tokens lie side by side: step t is the packed rows offset[t] ...
 * offset[t] + active[t] - 1, and all of a batch is one matrix of `tokens` rows. When all lengths are T
 * the packed order is the plain one, (T,B), and nothing is moved. */
#ifndef KERNELS_SEQUENCE_H
#define KERNELS_SEQUENCE_H

#include <tidegate/core.h>

typedef struct sequence {
    int T, B;          /* as given, padding included */
    int steps;         /* longest length */
    int tokens;        /* sum of the lengths */
    bool full;         /* all lengths are T: packed and plain order are the same */
    const int *order;  /* (B): row i of the packed order is row order[i] of the batch */
    const int *active; /* (steps + 1): rows running at step t; active[steps] is 0 */
    const int *offset; /* (steps + 1) */
} sequence;

/* Integers of room that tg__sequence_init needs. */
size_t tg__sequence_room(int T, int B);
/* lengths (B), each in 0..T, or NULL for all T. */
void tg__sequence_init(sequence *s, int T, int B, const int *lengths, int *room);

/* packed (tokens,D) = x (T,B,D), and back: y gets 0 where there is padding. _add_unpacked adds to y. */
void tg__sequence_pack(tg_context *cx, const sequence *s, int D, const tg_real *x, tg_real *packed);
void tg__sequence_unpack(tg_context *cx, const sequence *s, int D, const tg_real *packed, tg_real *y);
void tg__sequence_add_unpacked(tg_context *cx, const sequence *s, int D, const tg_real *packed, tg_real *y);

/* before (tokens,D): the packed row of the step before; of the first step the row of first (B,D), which is
 * in packed order, or zeros if that is NULL. */
void tg__sequence_before(tg_context *cx, const sequence *s, int D, const tg_real *packed,
                         const tg_real *first, tg_real *before);

/* Rows of a state: ordered (B,D) = x (B,D) in packed order, and back, set or added. */
void tg__sequence_order_rows(const sequence *s, int D, const tg_real *x, tg_real *ordered);
void tg__sequence_restore_rows(const sequence *s, int D, const tg_real *ordered, tg_real *x);
void tg__sequence_add_restored_rows(const sequence *s, int D, const tg_real *ordered, tg_real *x);

#endif

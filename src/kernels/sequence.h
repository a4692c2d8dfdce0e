/* kernels/sequence.h -- sequences of different lengths, packed so that padding is never computed.
 *
 * Rows are put in order of falling length. Then at every step the rows still running are the first
 * active[t] ones, and their tokens lie side by side: step t is the packed rows offset[t] ...
 * offset[t] + active[t] - 1, and all of a batch is one matrix of `tokens` rows. When all lengths are T
 * the packed order is the plain one, (T,B), and nothing is moved. */
#ifndef KERNELS_SEQUENCE_H
#define KERNELS_SEQUENCE_H

#include <tidegate/core.h>

/* A batch that is worth it (tg__gru_parts) is made in two parts, by different workers where there are. What only they read is
 * kept in the order of parts: all tokens of a part lie side by side, step after step, its rows in order. (A
 * core fetches more than it is asked for. Where its rows lie between those of another, these are taken from the other's
 * cache at each step.) A part has neighbouring rows of a full batch; else every second, so that both get long ones. */
enum { SEQUENCE_PARTS = 2 };
typedef struct sequence_part {
    int rows, first, apart; /* row i of the part is row first + i * apart of the packed order */
    const int *token;       /* (steps + 1): where each step's tokens begin, in the order of parts */
} sequence_part;

typedef struct sequence {
    int T, B;          /* as given, padding included */
    int steps;         /* longest length */
    int tokens;        /* sum of the lengths */
    bool full;         /* all lengths are T: packed and plain order are the same */
    const int *order;  /* (B): row i of the packed order is row order[i] of the batch */
    const int *active; /* (steps + 1): rows running at step t; active[steps] is 0 */
    const int *offset; /* (steps + 1) */
    int parts;         /* one, until tg__sequence_cut */
    sequence_part part[SEQUENCE_PARTS];
    int *token; /* room for what the parts need */
} sequence;

/* Rows of a part that run at step t; 0 at any other time. */
static inline int tg__sequence_running(const sequence *s, sequence_part p, int t)
{
    return t < 0 || t >= s->steps ? 0 : p.token[t + 1] - p.token[t];
}
/* Some rows of a part, all at one step: tokens of a span that lie in it. */
typedef struct sequence_run {
    int t, row, rows; /* row: the part's */
} sequence_run;
/* The first run of the part's tokens *token ... end-1, which are moved past it; t: where the last one was, or 0. False:
 * there are none left. */
bool tg__sequence_next_run(sequence_part p, int *token, int end, sequence_run *run);

/* to (tokens first ... end-1 of the part, side by side) = rows of x (tokens,D), in packed order, and back, set or added. */
void tg__sequence_take(const sequence *s, sequence_part p, int first, int end, int D, const tg_real *x,
                       tg_real *to);
void tg__sequence_put(const sequence *s, sequence_part p, int first, int end, int D, const tg_real *from,
                      bool add, tg_real *x);

/* Integers of room that tg__sequence_init needs. */
size_t tg__sequence_room(int T, int B);
/* lengths (B), each in 0..T, or NULL for all T. */
void tg__sequence_init(sequence *s, int T, int B, const int *lengths, int *room);
/* Cuts it into so many parts, 1 or SEQUENCE_PARTS; no more than it has rows. */
void tg__sequence_cut(sequence *s, int parts);

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

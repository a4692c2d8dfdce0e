/* kernels/recurrent/sequence.h -- sequences of different lengths, packed so that padding is never computed.
 *
 * The rows of a batch are sorted by falling length. Then the rows that are still running at step t are the first active[t]
 * ones, and their tokens lie side by side: step t has the packed rows offset[t] ... offset[t] + active[t] - 1, and a whole
 * batch is one matrix of `tokens` rows. When all lengths are T the packed order is the plain one, (T,B), and nothing is
 * moved. */
#ifndef KERNELS_RECURRENT_SEQUENCE_H
#define KERNELS_RECURRENT_SEQUENCE_H

#include <tidegate/core.h>

/* A large batch is cut into two shards, which different workers compute where there are at least two. Arrays that the layer
 * alone reads are stored in shard order: all tokens of a shard side by side, step after step, its rows in order. In packed
 * order the rows of two workers would alternate in memory, and the hardware prefetcher of one core would keep taking cache
 * lines away from the other at every step (false sharing). A shard has neighbouring rows of a full batch; otherwise every
 * second row, so that both shards get long and short ones. */
enum { MOST_SHARDS = 2 };
typedef struct batch_shard {
    int rows, first, apart; /* row i of the shard is row first + i * apart of the packed order */
    const int *token;       /* (steps + 1): where the tokens of each step begin, in shard order */
} batch_shard;

typedef struct sequence {
    int T, B;          /* as given, padding included */
    int steps;         /* longest length */
    int tokens;        /* sum of the lengths */
    bool full;         /* all lengths are T: packed and plain order are the same */
    const int *order;  /* (B): row i of the packed order is row order[i] of the batch */
    const int *active; /* (steps + 1): rows running at step t; active[steps] is 0 */
    const int *offset; /* (steps + 1) */
    int shards;        /* one, unless it is a copy made by tg__sequence_cut */
    batch_shard shard[MOST_SHARDS];
} sequence;

/* The number of rows of a shard whose sequences have not ended at step t; 0 if t is no step of the batch. */
static inline int tg__sequence_running(const sequence *s, batch_shard p, int t)
{
    return t < 0 || t >= s->steps ? 0 : p.token[t + 1] - p.token[t];
}

/* Tokens of one step that lie side by side in shard order: rows row ... row+rows-1 of the shard. */
typedef struct token_run {
    int t, row, rows;
} token_run;
/* Iterates over the tokens *token ... end-1 of a shard: sets run to the first run of them and moves *token behind it. run
 * starts as { 0 }. False: no tokens are left. */
bool tg__sequence_next_run(batch_shard p, int *token, int end, token_run *run);

/* Gathers: to (end-first,D) = the rows of x (tokens,D), which is in packed order, for tokens first ... end-1 of the shard. */
void tg__sequence_gather(const sequence *s, batch_shard p, int first, int end, int D, const tg_real *x,
                         tg_real *to);
/* Scatters the other way; x is set, or with `add` added to. */
void tg__sequence_scatter(const sequence *s, batch_shard p, int first, int end, int D, const tg_real *from,
                          bool add, tg_real *x);

/* lengths (B), each in 0..T, or NULL for all T. room: tg__sequence_room integers, which s refers to. */
size_t tg__sequence_room(int T, int B);
void tg__sequence_init(sequence *s, int T, int B, const int *lengths, int *room);
/* The same sequence cut into so many shards, no more than it has rows. room: tg__sequence_cut_room integers. */
size_t tg__sequence_cut_room(const sequence *s, int shards);
sequence tg__sequence_cut(const sequence *s, int shards, int *room);

/* packed (tokens,D) = x (T,B,D), and back: y gets 0 where there is padding. _add_unpacked adds to y. */
void tg__sequence_pack(tg_context *cx, const sequence *s, int D, const tg_real *x, tg_real *packed);
void tg__sequence_unpack(tg_context *cx, const sequence *s, int D, const tg_real *packed, tg_real *y);
void tg__sequence_add_unpacked(tg_context *cx, const sequence *s, int D, const tg_real *packed, tg_real *y);

/* before (tokens,D): the packed row of the step before; of the first step the row of first (B,D), which is
 * in packed order, or zeros if that is NULL. */
void tg__sequence_before(tg_context *cx, const sequence *s, int D, const tg_real *packed,
                         const tg_real *first, tg_real *before);

/* Permutes the rows of a state: ordered (B,D) = the rows of x (B,D) in packed order. _restore_rows is the inverse permutation,
 * and _add_restored_rows adds its result to x. */
void tg__sequence_order_rows(const sequence *s, int D, const tg_real *x, tg_real *ordered);
void tg__sequence_restore_rows(const sequence *s, int D, const tg_real *ordered, tg_real *x);
void tg__sequence_add_restored_rows(const sequence *s, int D, const tg_real *ordered, tg_real *x);

#endif

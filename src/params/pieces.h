/* params/pieces.h -- the flat block, cut for the workers. */
#ifndef PARAMS_PIECES_H
#define PARAMS_PIECES_H

#include "params/params.h"

/* A number for each piece fits on the stack, so that a sum over all parameters allocates nothing. */
enum { PARAM_MOST_PIECES = 256 };

/* Elements first ... first+n-1 of the flat block, all of the block b. */
typedef struct param_range {
    const param_block *b;
    size_t first, n;
    int piece;
} param_range;

/* Calls work for every range of the flat block (which is frozen, see tg__params_freeze) and returns the
 * number of pieces, at most PARAM_MOST_PIECES. Ranges of one piece come in order, on one worker. */
int tg__params_walk(tg_params *ps, void (*work)(void *argument, const param_range *r), void *argument);

/* The Euclidean norm of all gradients that are not frozen, the same for any number of workers; not finite if one of them
 * is not, or if the norm itself exceeds the range of double. 0 if the set has no gradients. */
double tg__params_gradient_norm(tg_params *ps);

#endif

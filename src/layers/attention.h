/* layers/attention.h -- what the recurrent layer with attention needs of the attention layer. */
#ifndef LAYERS_ATTENTION_H
#define LAYERS_ATTENTION_H

#include "kernels/attention.h"
#include "layers/layer.h"

struct tg_attention {
    tg_params *ps;
    const char *name;
    tg_attention_config config;
    int Q, M, D;
    tg_tensor *W_q, *W_k, *v, *w; /* NULL: the kind has none */
};

/* Can such a layer be made? False: the context remembers a sentence that begins with who. */
bool tg__attention_holds(tg_context *cx, const char *who, const char *name, int Q, int M,
                         const tg_attention_config *c);

/* Lengths, or S for every row, on the tape: (B). NULL: one is out of range, or out of memory; the context
 * remembers. */
const int *tg__attention_lengths(const tg_attention *l, tg_tape *t, const char *who, const tg_memory *memory);

/* Does the memory fit the layer, and queries for B rows? False: the context remembers. */
bool tg__attention_fits(const tg_attention *l, tg_tape *t, const char *who, const tg_memory *memory, int B);

attention_memory tg__attention_of(const tg_attention *l, const tg_memory *memory, const int *lengths);

/* Gradients with room for v and w in `blocks` blocks, zeros; and their sum, added to the layer's. */
bool tg__attention_gradients(const tg_attention *l, tg_tape *t, const tg_memory *memory, int blocks,
                             attention_gradients *d);
void tg__attention_gradients_join(const tg_attention *l, tg_context *cx, int blocks, attention_gradients d);

#endif

/* tidegate/embedding.h -- row ids[i] of a matrix W (V,E), initialized N(0, 0.1^2).
 *
 * A layer is made in a parameter set, which owns it; its parameters are "<layer>/<weight>".
 * _run records one op on the tape. A layer made while the context was in error keeps failing with a sentence. */
#ifndef TIDEGATE_EMBEDDING_H
#define TIDEGATE_EMBEDDING_H

#include "params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tg_embedding tg_embedding;
TG_API tg_embedding *tg_embedding_new(tg_params *ps, const char *name, int V, int E);
/* ids (T,B), each in [0, V) or < 0 for padding, which gives zeros -> (T,B,E). ids are copied. */
TG_API tg_tensor *tg_embedding_run(tg_embedding *l, tg_tape *t, const int ids[], int T, int B);
/* The same for ids (B,T), as most arrays are -> (T,B,E). Targets beside them: see batch_first in losses.h. */
TG_API tg_tensor *tg_embedding_run_batch_first(tg_embedding *l, tg_tape *t, const int ids[], int B, int T);

#ifdef __cplusplus
}
#endif
#endif

/* tools/bench/gru_step.c -- one contestant of compare.py gru: the GRU training step.
 *
 *     gru_step T B I H threads gru|gru-reset-after [ragged]
 *
 * ragged: rows of all lengths from 1 to T, so that half of the batch is padding. Forward, backward to dx, dh0 and all weight gradients, on a dy from outside. Weights change every step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "contestant.h"

typedef struct bench {
    tg_context *cx;
    tg_params *ps;
    tg_rnn *gru;
    tg_tape *t;
    tg_optimizer *sgd;
    tg_parameter *x, *h0;
    tg_real *dy;
    int *lengths; /* NULL: all T */
} bench;

static void step(void *user)
{
    bench *b = user;
    tg_tape_begin(b->t, TG_TRAIN);
    const tg_state in = { tg_parameter_tensor(b->h0, b->t) };
    tg_tensor *y = tg_rnn_run(b->gru, b->t, tg_parameter_tensor(b->x, b->t), b->lengths, &in, NULL);
    if (tg_tape_backward_from(b->t, 1, &y, (const tg_real *const[]){ b->dy }) || tg_optimizer_step(b->sgd)) {
        fprintf(stderr, "gru_step: %s\n", tg_context_message(b->cx));
        exit(1);
    }
}

int main(int argc, char *argv[])
{
    tg_program_fix_blas(argv);
    if (argc < 7 || argc > 8) {
        fprintf(stderr, "usage: gru_step T B I H threads gru|gru-reset-after [ragged]\n");
        return 2;
    }
    const int T = atoi(argv[1]), B = atoi(argv[2]), I = atoi(argv[3]), H = atoi(argv[4]);
    bench b = { .cx = tg_context_new(&(tg_context_config){ .seed = 1, .threads = atoi(argv[5]) }) };
    b.ps = tg_params_new(b.cx);
    b.t = tg_tape_new(b.cx);
    b.x = tg_parameter_new(b.ps, "x", 3, (int[]){ T, B, I }, (tg_init){ TG_INIT_NORMAL, 1 });
    b.h0 = tg_parameter_new(b.ps, "h0", 3, (int[]){ 1, B, H }, (tg_init){ TG_INIT_NORMAL, 1 });
    b.gru = tg_rnn_new(b.ps, "gru", I, H,
                       &(tg_rnn_config){ .cell = strcmp(argv[6], "gru") ? TG_GRU_RESET_AFTER : TG_GRU });
    b.sgd = tg_sgd_new(b.ps, &(tg_sgd_config){ .lr = (tg_real)1e-6 });
    const size_t n = (size_t)T * (size_t)B * (size_t)H;
    b.dy = malloc(n * sizeof *b.dy);
    if (!b.dy) return 1;
    for (size_t i = 0; i < n; i++) b.dy[i] = (tg_real)(tg_random_uniform(b.cx, "dy", 0, i) - 0.5);

    if (argc == 8) b.lengths = tg_context_allocate(b.cx, (size_t)B * sizeof *b.lengths);
    for (int i = 0; b.lengths && i < B; i++) b.lengths[i] = 1 + (T - 1) * i / (B > 1 ? B - 1 : 1);

    for (int i = 0; i < 3; i++) step(&b);
    printf("ready OpenBLAS %s, tidegate %s, %d threads\n", tg_blas_core(), tg_simd_variant(),
           tg_context_threads(b.cx));
    const int result = contestant_serve(step, &b, 1);
    free(b.dy);
    tg_context_free(b.cx);
    return result;
}

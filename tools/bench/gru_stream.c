/* tools/bench/gru_stream.c -- one contestant of compare.py streaming: one row, one step after the other.
 *
 *     gru_stream H threads gru|gru-reset-after
 *
 * A piece of work is STREAM_STEPS steps, each with an input of its own and the state that the step before left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "contestant.h"

enum { STREAM_STEPS = 100 };

typedef struct bench {
    tg_context *cx;
    tg_tape *t;
    tg_rnn *gru;
    tg_state state;
    tg_real *x;
    int H;
} bench;

static void steps(void *user)
{
    bench *b = user;
    for (int k = 0; k < STREAM_STEPS; k++) {
        tg_tape_begin(b->t, TG_EVAL);
        tg_state out;
        tg_rnn_step(b->gru, b->t, tg_input(b->t, 2, (int[]){ 1, b->H }, b->x + k * b->H), &b->state, &out);
        tg_state_keep(&b->state, &out);
    }
    if (tg_context_ok(b->cx)) return;
    fprintf(stderr, "gru_stream: %s\n", tg_context_message(b->cx));
    exit(1);
}

int main(int argc, char *argv[])
{
    tg_program_fix_blas(argv);
    if (argc != 4) {
        fprintf(stderr, "usage: gru_stream H threads gru|gru-reset-after\n");
        return 2;
    }
    const int H = atoi(argv[1]);
    bench b = { .cx = tg_context_new(&(tg_context_config){ .seed = 1, .threads = atoi(argv[2]) }), .H = H };
    tg_params *ps = tg_params_new(b.cx);
    b.t = tg_tape_new(b.cx);
    b.gru = tg_rnn_new(ps, "gru", H, H,
                       &(tg_rnn_config){ .cell = strcmp(argv[3], "gru") ? TG_GRU_RESET_AFTER : TG_GRU });
    b.state = tg_state_new(b.cx, b.gru, 1);
    const size_t n = (size_t)STREAM_STEPS * (size_t)H;
    b.x = malloc(n * sizeof *b.x);
    if (!b.x) return 1;
    for (size_t i = 0; i < n; i++) b.x[i] = (tg_real)(tg_random_uniform(b.cx, "x", 0, i) - 0.5);
    for (int i = 0; i < 3; i++) steps(&b);
    printf("ready OpenBLAS %s, tidegate %s, %d threads\n", tg_blas_core(), tg_simd_variant(),
           tg_context_threads(b.cx));
    const int result = contestant_serve(steps, &b, 3);
    free(b.x);
    tg_context_free(b.cx);
    return result;
}

/* tools/bench/language_model_step.c -- one contestant of compare.py language: a training step of a character language
 * model.
 *
 *     language_model_step V E H layers B T threads
 *
 * Embedding, GRU with reset after, linear layer, cross entropy, Adam; the state of each row is carried from step to step, as
 * in truncated backpropagation through time. Random tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <tidegate/tidegate.h>

#include "contestant.h"

typedef struct bench {
    tg_context *cx;
    tg_tape *t;
    tg_optimizer *adam;
    tg_embedding *embedding;
    tg_rnn *gru;
    tg_linear *out;
    tg_state state;
    int *token; /* (T+1,B) */
    int B, T;
} bench;

static void step(void *user)
{
    bench *b = user;
    tg_state after;
    tg_tape_begin(b->t, TG_TRAIN);
    tg_tensor *x = tg_embedding_run(b->embedding, b->t, b->token, b->T, b->B),
              *y = tg_rnn_run(b->gru, b->t, x, NULL, &b->state, &after),
              *loss = tg_cross_entropy(b->t, tg_linear_run(b->out, b->t, y), b->token + b->B, NULL);
    if (tg_tape_backward(b->t, loss) || tg_optimizer_step(b->adam)) {
        fprintf(stderr, "language_model_step: %s\n", tg_context_message(b->cx));
        exit(1);
    }
    tg_state_keep(&b->state, &after);
}

int main(int argc, char *argv[])
{
    tg_program_fix_blas(argv);
    if (argc != 8) {
        fprintf(stderr, "usage: language_model_step V E H layers B T threads\n");
        return 2;
    }
    const int V = atoi(argv[1]), E = atoi(argv[2]), H = atoi(argv[3]), layers = atoi(argv[4]);
    bench b = { .B = atoi(argv[5]), .T = atoi(argv[6]) };
    b.cx = tg_context_new(&(tg_context_config){ .seed = 1, .threads = atoi(argv[7]) });
    tg_params *ps = tg_params_new(b.cx);
    b.t = tg_tape_new(b.cx);
    b.embedding = tg_embedding_new(ps, "embedding", V, E);
    b.gru = tg_rnn_new(ps, "gru", E, H, &(tg_rnn_config){ .cell = TG_GRU_RESET_AFTER, .layers = layers });
    b.out = tg_linear_new(ps, "out", H, V, NULL);
    b.adam = tg_adam_new(ps, &(tg_adam_config){ .lr = (tg_real)2e-3 });
    b.state = tg_state_new(b.cx, b.gru, b.B);
    const int n = (b.T + 1) * b.B;
    b.token = tg_context_allocate(b.cx, (size_t)n * sizeof *b.token);
    for (int i = 0; b.token && i < n; i++)
        b.token[i] = (int)(tg_random_uniform(b.cx, "token", 0, (uint64_t)i) * (double)V);
    if (!tg_context_ok(b.cx)) {
        fprintf(stderr, "language_model_step: %s\n", tg_context_message(b.cx));
        return 1;
    }
    for (int i = 0; i < 3; i++) step(&b);
    printf("ready OpenBLAS %s, tidegate %s, %d threads, %zu parameters\n", tg_blas_core(), tg_simd_variant(),
           tg_context_threads(b.cx), tg_params_size(ps));
    const int result = contestant_serve(step, &b, 3);
    tg_context_free(b.cx);
    return result;
}

/* tools/bench/translation_step.c -- one contestant of compare.py training: a training step of the translation model.
 *
 *     translation_step V E H B T threads
 *
 * The encoder reads in one direction, the decoder attends by the additive rule with as many units as its state has, and
 * the output layer reads [ s ; c ; y ] itself: the model of the usual PyTorch tutorial, torch_translation_step.py.
 * Teacher forcing on random tokens, T in each of B rows of both sides; gradients of all weights, and Adam. */
#include <stdio.h>
#include <stdlib.h>
#include <tidegate/tidegate.h>

#include "contestant.h"

typedef struct bench {
    tg_context *cx;
    tg_tape *t;
    tg_optimizer *adam;
    tg_encoder_decoder *model;
    tg_pair_batch batch;
} bench;

static void step(void *user)
{
    bench *b = user;
    tg_tape_begin(b->t, TG_TRAIN);
    if (tg_tape_backward(b->t, tg_encoder_decoder_loss(b->model, b->t, &b->batch, 0)) ||
        tg_optimizer_step(b->adam)) {
        fprintf(stderr, "translation_step: %s\n", tg_context_message(b->cx));
        exit(1);
    }
}

static int *random_tokens(tg_context *cx, const char *stream, int n, int V)
{
    int *id = tg_context_allocate(cx, (size_t)n * sizeof *id);
    for (int i = 0; id && i < n; i++)
        id[i] = (int)(tg_random_uniform(cx, stream, 0, (uint64_t)i) * (double)V);
    return id;
}

/* All rows full. */
static tg_pair_batch random_batch(tg_context *cx, int V, int B, int T)
{
    int *length = tg_context_allocate(cx, (size_t)B * sizeof *length);
    for (int b = 0; length && b < B; b++) length[b] = T;
    return (tg_pair_batch){ .B = B,
                            .S = T,
                            .T = T,
                            .source = random_tokens(cx, "source", T * B, V),
                            .source_lengths = length,
                            .target_in = random_tokens(cx, "target in", T * B, V),
                            .target_out = random_tokens(cx, "target out", T * B, V),
                            .target_lengths = length,
                            .target_tokens = (int64_t)T * B };
}

int main(int argc, char *argv[])
{
    tg_program_fix_blas(argv);
    if (argc != 7) {
        fprintf(stderr, "usage: translation_step V E H B T threads\n");
        return 2;
    }
    const int V = atoi(argv[1]), E = atoi(argv[2]), H = atoi(argv[3]), B = atoi(argv[4]), T = atoi(argv[5]);
    bench b = { .cx = tg_context_new(&(tg_context_config){ .seed = 1, .threads = atoi(argv[6]) }) };
    tg_params *ps = tg_params_new(b.cx);
    b.t = tg_tape_new(b.cx);
    b.model = tg_encoder_decoder_new(ps, &(tg_encoder_decoder_config){ .source_vocabulary = V,
                                                                       .target_vocabulary = V,
                                                                       .embed = E,
                                                                       .hidden = H,
                                                                       .cell = TG_GRU_RESET_AFTER,
                                                                       .attention = TG_ATTENTION_ADDITIVE,
                                                                       .readout = TG_NO_READOUT });
    b.adam = tg_adam_new(ps, &(tg_adam_config){ .lr = (tg_real)1e-3 });
    b.batch = random_batch(b.cx, V, B, T);
    if (!tg_context_ok(b.cx)) {
        fprintf(stderr, "translation_step: %s\n", tg_context_message(b.cx));
        return 1;
    }
    for (int i = 0; i < 2; i++) step(&b);
    printf("ready OpenBLAS %s, tidegate %s, %d threads, %zu parameters\n", tg_blas_core(), tg_simd_variant(),
           tg_context_threads(b.cx), tg_params_size(ps));
    const int result = contestant_serve(step, &b, 3);
    tg_context_free(b.cx);
    return result;
}

/* A model of one's own on plain C arrays: a GRU learns the adding problem (Hochreiter & Schmidhuber 1997).
 *
 *     arrays [STEPS]
 *
 * Each sequence has T pairs (value, mark). Two of the marks are 1, the others 0; the answer, asked for
 * after the last step, is the sum of the two marked values. Who always says 1 has a mean squared error
 * of 1/6: below that the net remembers. */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/tidegate.h>

enum { T = 20, B = 64, H = 32 };

typedef struct net {
    tg_parameter *h0; /* (H): a learned state to start from, a parameter of our own */
    tg_rnn *gru;
    tg_linear *out;
} net;

/* x (T,B,2) -> one number for each sequence, (B,1) */
static tg_tensor *net_run(net n, tg_tape *t, tg_tensor *x)
{
    tg_tensor *h0 = tg_repeat(t, tg_parameter_tensor(n.h0, t), B);       /* (B,H) */
    const tg_state first = { tg_reshape(t, h0, 3, (int[]){ 1, B, H }) }; /* (1,B,H) */
    tg_tensor *y = tg_rnn_run(n.gru, t, x, NULL, &first, NULL);          /* (T,B,H) */
    return tg_linear_run(n.out, t, tg_row(t, y, -1));                    /* (B,1) */
}

/* Batch `step`: x (B,T,2), as most arrays come, and the answers (B). */
static void make_batch(const tg_context *cx, int64_t step, tg_real *x, tg_real *answer)
{
    for (int b = 0; b < B; b++) {
        const int marked[] = { (int)(tg_random_uniform(cx, "first mark", step, (uint64_t)b) * (T / 2)),
                               (int)(tg_random_uniform(cx, "second mark", step, (uint64_t)b) * (T / 2)) +
                                   T / 2 };
        tg_real *row = x + (size_t)b * T * 2;
        answer[b] = 0;
        for (int k = 0; k < T; k++) {
            const bool mark = k == marked[0] || k == marked[1];
            row[2 * k] = (tg_real)tg_random_uniform(cx, "value", step, (uint64_t)(b * T + k));
            row[2 * k + 1] = mark;
            if (mark) answer[b] += row[2 * k];
        }
    }
}

static tg_status train(tg_context *cx, int64_t steps)
{
    tg_params *ps = tg_params_new(cx);
    net n;
    n.h0 = tg_parameter_new(ps, "h0", 1, (int[]){ H }, (tg_init){ TG_INIT_ZEROS, 0 });
    n.gru = tg_rnn_new(ps, "gru", 2, H, NULL);
    n.out = tg_linear_new(ps, "out", H, 1, NULL);
    tg_optimizer *adam = tg_adam_new(ps, &(tg_adam_config){ .lr = (tg_real)5e-3 });
    tg_tape *t = tg_tape_new(cx);
    static tg_real x[B * T * 2], answer[B];
    double sum = 0;

    for (int64_t step = 0; step < steps; step++) {
        make_batch(cx, step, x, answer);
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *y = net_run(n, t, tg_input_batch_first(t, B, T, 2, x));
        tg_tensor *loss = tg_mean_squared_error(t, y, answer, NULL, NULL);
        sum += *loss->data;
        tg_status s = tg_tape_backward(t, loss);
        if (s) return s;
        tg_params_clip_norm(ps, 1);
        if ((s = tg_optimizer_step(adam))) return s;
        if ((step + 1) % 50) continue;
        printf("step %5lld   mean squared error %.4f\n", (long long)step + 1, sum / 50);
        sum = 0;
    }
    return tg_context_status(cx);
}

int main(int argc, char *argv[])
{
    tg_program_fix_blas(argv);
    const int64_t steps = argc > 1 ? atoll(argv[1]) : 1000;
    if (argc > 2 || steps < 1) {
        fprintf(stderr, "usage: arrays [STEPS]\n");
        return 1;
    }
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 1 });
    const tg_status s = train(cx, steps);
    if (s) fprintf(stderr, "arrays: %s\n", tg_context_message(cx));
    tg_context_free(cx);
    return s ? 1 : 0;
}

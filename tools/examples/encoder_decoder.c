/* An encoder-decoder from layers and ops (Cho et al. 2014, arXiv:1406.1078): it learns to say strings of
 * digits backwards.
 *
 *     encoder_decoder [STEPS]
 */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/tidegate.h>

enum { BEGIN = 10, END, V, LONGEST = 6, S = LONGEST, T = LONGEST + 1, B = 64, E = 32, H = 128 };

/* V words: the digits, BEGIN and END. S, T source and target time, B batch, E embedding, H hidden. */
typedef struct net {
    tg_embedding *source, *target;
    tg_rnn *encoder, *decoder;
    tg_linear *bridge, *out;
} net;

static net net_new(tg_params *ps)
{
    net n;
    n.source = tg_embedding_new(ps, "source", V, E);
    n.encoder = tg_rnn_new(ps, "encoder", E, H, NULL);
    n.bridge = tg_linear_new(ps, "bridge", H, H, NULL);
    n.target = tg_embedding_new(ps, "target", V, E);
    n.decoder = tg_rnn_new(ps, "decoder", E + H, H, NULL);
    n.out = tg_linear_new(ps, "out", H, V, NULL);
    return n;
}

/* c = the encoder's state after the last digit: source (S,B) -> (1,B,H) */
static tg_tensor *net_encode(net n, tg_tape *t, const int *source, const int *lengths)
{
    tg_state c;
    tg_rnn_run(n.encoder, t, tg_embedding_run(n.source, t, source, S, B), lengths, NULL, &c);
    return c.h;
}

/* s(0) = tanh( c W + b ): (1,B,H) -> (1,B,H) */
static tg_state net_bridge(net n, tg_tape *t, tg_tensor *c)
{
    return (tg_state){ tg_tanh(t, tg_linear_run(n.bridge, t, c)) };
}

/* s(t) = GRU( [ embed(y(t-1)) ; c ], s(t-1) ), logits = s(t) W + b: y (steps,B) -> (steps,B,V) */
static tg_tensor *net_decode(net n, tg_tape *t, const int *y, int steps, tg_tensor *c, const tg_state *in,
                             tg_state *out)
{
    tg_tensor *all_c = tg_repeat(t, tg_row(t, c, 0), steps);                             /* (steps,B,H) */
    tg_tensor *x = tg_concatenate(t, tg_embedding_run(n.target, t, y, steps, B), all_c); /* (steps,B,E+H) */
    return tg_linear_run(n.out, t, tg_rnn_run(n.decoder, t, x, NULL, in, out));          /* (steps,B,V) */
}

typedef struct batch {
    int source[S * B], lengths[B];       /* beyond its length a row has -1, for padding */
    int target_in[T * B], target[T * B]; /* BEGIN, digits; digits, END */
} batch;

static void make_batch(const tg_context *cx, int64_t step, batch *a)
{
    for (int b = 0; b < B; b++) {
        const int n = a->lengths[b] = 1 + (int)(tg_random_uniform(cx, "length", step, (uint64_t)b) * LONGEST);
        for (int k = 0; k < S; k++)
            a->source[k * B + b] =
                k < n ? (int)(tg_random_uniform(cx, "digit", step, (uint64_t)(k * B + b)) * 10) : -1;
        for (int k = 0; k < T; k++)
            a->target[k * B + b] = k < n ? a->source[(n - 1 - k) * B + b] : k == n ? END : -1;
        for (int k = 0; k < T; k++) a->target_in[k * B + b] = k ? a->target[(k - 1) * B + b] : BEGIN;
    }
}

static tg_tensor *net_loss(net n, tg_tape *t, const batch *a)
{
    tg_tensor *c = net_encode(n, t, a->source, a->lengths);
    const tg_state s0 = net_bridge(n, t, c);
    return tg_cross_entropy(t, net_decode(n, t, a->target_in, T, c, &s0, NULL), a->target, NULL);
}

/* The most probable word at each step, fed into the next: words (T,B). */
static tg_status net_greedy(net n, tg_tape *t, const batch *a, int *words)
{
    int last[B];
    tg_tape_begin(t, TG_EVAL);
    tg_tensor *c = net_encode(n, t, a->source, a->lengths);
    tg_state s = net_bridge(n, t, c);
    for (int b = 0; b < B; b++) last[b] = BEGIN;
    for (int k = 0; k < T; k++) {
        const tg_tensor *logits = net_decode(n, t, last, 1, c, &s, &s); /* (1,B,V) */
        if (!tg_context_ok(tg_tape_context(t))) return tg_context_status(tg_tape_context(t));
        for (int b = 0; b < B; b++) {
            const tg_real *row = logits->data + b * V;
            int best = 0;
            for (int v = 1; v < V; v++)
                if (row[v] > row[best]) best = v;
            words[k * B + b] = last[b] = best;
        }
    }
    return TG_OK;
}

static void show(const batch *a, const int *words)
{
    int right = 0;
    for (int b = 0; b < B; b++) {
        int k = 0;
        while (k <= a->lengths[b] && words[k * B + b] == a->target[k * B + b]) k++;
        right += k > a->lengths[b];
    }
    for (int b = 0; b < 5; b++) {
        for (int k = 0; k < a->lengths[b]; k++) putchar('0' + a->source[k * B + b]);
        printf(" -> ");
        for (int k = 0; k < T && words[k * B + b] < 10; k++) putchar('0' + words[k * B + b]);
        putchar('\n');
    }
    printf("%d of %d right\n", right, B);
}

static tg_status train(tg_context *cx, int64_t steps)
{
    tg_params *ps = tg_params_new(cx);
    net n = net_new(ps);
    tg_optimizer *adam = tg_adam_new(ps, &(tg_adam_config){ .lr = (tg_real)3e-3 });
    tg_tape *t = tg_tape_new(cx);
    static batch a;
    static int words[T * B];
    tg_status s;

    for (int64_t step = 0; step < steps; step++) {
        make_batch(cx, step, &a);
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *loss = net_loss(n, t, &a);
        if (step % 100 == 0 || step + 1 == steps)
            printf("step %5lld   loss %.4f nats\n", (long long)step + 1, (double)*loss->data);
        if ((s = tg_tape_backward(t, loss))) return s;
        tg_params_clip_norm(ps, 1);
        if ((s = tg_optimizer_step(adam))) return s;
    }
    make_batch(cx, steps, &a); /* never seen */
    if ((s = net_greedy(n, t, &a, words))) return s;
    show(&a, words);
    return TG_OK;
}

int main(int argc, char *argv[])
{
    tg_program_fix_blas(argv);
    const int64_t steps = argc > 1 ? atoll(argv[1]) : 1000;
    if (argc > 2 || steps < 1) {
        fprintf(stderr, "usage: encoder_decoder [STEPS]\n");
        return 1;
    }
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 1 });
    const tg_status s = train(cx, steps);
    if (s) fprintf(stderr, "encoder_decoder: %s\n", tg_context_message(cx));
    tg_context_free(cx);
    return s ? 1 : 0;
}

/* A character language model: train, save, be killed, go on, sample.
 *
 *     language_model CORPUS CHECKPOINT STEPS [HIDDEN]
 *
 * CORPUS is any file; its bytes are the vocabulary. If CHECKPOINT exists, training goes on from there,
 * to the same bits as if it had never stopped: try kill -9. STEPS counts from the very beginning. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate/tidegate.h>

enum { V = 256, B = 32, T = 64, E = 64, SAVE_EVERY = 10, SAMPLE = 300 };

typedef struct net {
    tg_embedding *embed;
    tg_rnn *gru;
    tg_linear *out;
} net;

static net net_new(tg_params *ps, int H)
{
    net n;
    n.embed = tg_embedding_new(ps, "embed", V, E);
    n.gru =
        tg_rnn_new(ps, "gru", E, H, &(tg_rnn_config){ .cell = TG_GRU, .layers = 2, .dropout = (tg_real)0.1 });
    n.out = tg_linear_new(ps, "out", H, V, NULL);
    return n;
}

/* id (T,B) -> logits (T,B,V); the state goes in and comes out: truncated BPTT */
static tg_tensor *net_run(net n, tg_tape *t, const int *id, int steps, int rows, const tg_state *in,
                          tg_state *out)
{
    tg_tensor *x = tg_embedding_run(n.embed, t, id, steps, rows); /* (T,B,E) */
    tg_tensor *y = tg_rnn_run(n.gru, t, x, NULL, in, out);        /* (T,B,H) */
    return tg_linear_run(n.out, t, y);                            /* (T,B,V) */
}

/* The text, cut into B tracks that are read side by side, a window of T bytes at a time. */
typedef struct text {
    unsigned char *byte;
    int64_t track;   /* bytes */
    int64_t windows; /* in a track: an epoch */
} text;

static const char *text_read(text *x, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return "cannot be opened";
    long bytes = fseek(f, 0, SEEK_END) ? -1 : ftell(f);
    rewind(f);
    x->byte = bytes > 0 ? malloc((size_t)bytes) : NULL;
    const bool whole = x->byte && fread(x->byte, 1, (size_t)bytes, f) == (size_t)bytes;
    fclose(f);
    if (!whole) return "cannot be read, or is empty";
    x->track = (bytes - 1) / B;
    x->windows = x->track / T;
    return x->windows ? NULL : "is too short: it must have more than 2048 bytes";
}

static void text_window(const text *x, int64_t k, int *in, int *next)
{
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++) {
            const unsigned char *at = x->byte + b * x->track + k * T + t;
            in[t * B + b] = at[0];
            next[t * B + b] = at[1];
        }
}

static tg_status train(net n, const char *path, const text *corpus, int64_t steps, tg_params *ps, tg_tape *t,
                       tg_state *h)
{
    tg_optimizer *adam = tg_adam_new(ps, &(tg_adam_config){ .lr = (tg_real)2e-3 });
    tg_progress at = { 0 };
    const tg_checkpoint all = { .params = ps, .optimizer = adam, .states = h, .progress = &at };
    static int in[T * B], next[T * B];

    tg_status s = tg_checkpoint_load(path, &all);
    if (s && s != TG_ERR_ABSENT) return s;
    if (!s) printf("going on after step %lld\n", (long long)at.step);
    if (at.position >= corpus->windows) at.position = 0, at.epoch++; /* the text has become shorter */
    while (at.step < steps) {
        tg_state h1;
        if (!at.position) memset(h->h->data, 0, tg_tensor_size(h->h) * sizeof *h->h->data); /* a new epoch */
        text_window(corpus, at.position, in, next);
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *loss = tg_cross_entropy(t, net_run(n, t, in, T, B, h, &h1), next, NULL);
        if ((s = tg_tape_backward(t, loss))) return s;
        tg_params_clip_norm(ps, 1);
        if ((s = tg_optimizer_step(adam))) return s;
        tg_state_keep(h, &h1);

        at.step++;
        if (++at.position == corpus->windows) at.position = 0, at.epoch++;
        if (at.step % SAVE_EVERY && at.step < steps) continue;
        if ((s = tg_checkpoint_save(path, &all))) return s;
        printf("step %5lld   loss %.4f nats a byte\n", (long long)at.step, (double)*loss->data);
        fflush(stdout);
    }
    return TG_OK;
}

/* A byte from softmax( logits / temperature ); u is uniform in [0, 1). */
static int draw(const tg_real *logits, double temperature, double u)
{
    double p[V], most = logits[0], sum = 0;
    for (int v = 1; v < V; v++) most = fmax(most, (double)logits[v]);
    for (int v = 0; v < V; v++) sum += p[v] = exp((logits[v] - most) / temperature);
    int v = 0;
    for (u *= sum; v < V - 1 && u >= p[v]; v++) u -= p[v];
    return v;
}

static tg_status sample(net n, tg_context *cx, tg_tape *t)
{
    tg_state h = tg_state_new(cx, n.gru, 1), h1;
    for (int k = 0, byte = '\n'; k < SAMPLE; k++) {
        tg_tape_begin(t, TG_EVAL);
        const tg_tensor *logits = net_run(n, t, &byte, 1, 1, &h, &h1); /* (1,1,V) */
        if (!tg_context_ok(cx)) return tg_context_status(cx);
        tg_state_keep(&h, &h1);
        byte = draw(logits->data, 0.8, tg_random_uniform(cx, "sample", 0, (uint64_t)k));
        putchar(byte);
    }
    putchar('\n');
    return TG_OK;
}

int main(int argc, char *argv[])
{
    tg_program_fix_blas(argv);
    const int64_t steps = argc > 3 ? atoll(argv[3]) : 0;
    const int H = argc > 4 ? atoi(argv[4]) : 256;
    if (argc < 4 || argc > 5 || steps < 1 || H < 1) {
        fprintf(stderr, "usage: language_model CORPUS CHECKPOINT STEPS [HIDDEN]\n");
        return 1;
    }
    text corpus = { NULL };
    const char *wrong = text_read(&corpus, argv[1]);
    if (wrong) {
        fprintf(stderr, "language_model: %s %s\n", argv[1], wrong);
        free(corpus.byte);
        return 1;
    }
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 7 });
    tg_params *ps = tg_params_new(cx);
    tg_tape *t = tg_tape_new(cx);
    const net n = net_new(ps, H);
    tg_state h = tg_state_new(cx, n.gru, B);
    tg_status s = train(n, argv[2], &corpus, steps, ps, t, &h);
    if (!s) s = sample(n, cx, t);
    if (s) fprintf(stderr, "language_model: %s\n", tg_context_message(cx));
    tg_context_free(cx);
    free(corpus.byte);
    return s ? 1 : 0;
}

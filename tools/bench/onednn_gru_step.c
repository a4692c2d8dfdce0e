/* tools/bench/onednn_gru_step.c -- a contestant of compare.py gru, and of compare.py streaming: the GRU of oneDNN 2.
 *
 *     onednn_gru_step T B I H threads gru|gru-reset-after [forward]
 *
 * forward: for inference alone, with weights that were reordered before. Otherwise the training step: does what gru_step.c does, at oneDNN's best: it chooses the layouts of the weights, and since they change every step, the
 * reorders into them belong to the step; the gradients of the weights come back in the order of the masters. */
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "contestant.h"

void omp_set_num_threads(
    int threads); /* of the OpenMP library that oneDNN uses; not worth a compiler option */

enum { MOST_PRIMITIVES = 12, MOST_ARGUMENTS = 20, MOST_ZEROED = 3 };

typedef struct call {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t argument[MOST_ARGUMENTS];
    int arguments;
} call;

typedef struct bench {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    call calls[MOST_PRIMITIVES];
    int count;
    dnnl_memory_t zeroed[MOST_ZEROED]; /* gradients of the weights, which are added to */
} bench;

static void must(dnnl_status_t status, const char *what)
{
    if (!status) return;
    fprintf(stderr, "onednn_gru_step: %s: oneDNN's status %d\n", what, (int)status);
    exit(1);
}

static void *data_of(dnnl_memory_t memory)
{
    void *data;
    must(dnnl_memory_get_data_handle(memory, &data), "data");
    return data;
}

static const dnnl_memory_desc_t *description(dnnl_memory_t memory)
{
    const dnnl_memory_desc_t *d;
    must(dnnl_memory_get_memory_desc(memory, &d), "description");
    return d;
}

static dnnl_memory_t memory_like(bench *b, const dnnl_memory_desc_t *d)
{
    dnnl_memory_t memory;
    must(dnnl_memory_create(&memory, d, b->engine, DNNL_MEMORY_ALLOCATE), "memory");
    memset(data_of(memory), 0, dnnl_memory_desc_get_size(d));
    return memory;
}

static dnnl_memory_desc_t shaped(dnnl_format_tag_t tag, int rank, const dnnl_dim_t *dim)
{
    dnnl_memory_desc_t d;
    must(dnnl_memory_desc_init_by_tag(&d, rank, dim, dnnl_f32, tag), "shape");
    return d;
}

/* Numbers in [-scale, scale). */
static dnnl_memory_t filled(bench *b, dnnl_format_tag_t tag, int rank, const dnnl_dim_t *dim, double scale)
{
    const dnnl_memory_desc_t d = shaped(tag, rank, dim);
    dnnl_memory_t memory = memory_like(b, &d);
    float *x = data_of(memory);
    for (size_t i = 0; i < dnnl_memory_desc_get_size(&d) / sizeof *x; i++)
        x[i] = (float)(scale * (2.0 * rand() / RAND_MAX - 1));
    return memory;
}

static call *new_call(bench *b, dnnl_primitive_desc_t pd)
{
    call *c = &b->calls[b->count++];
    *c = (call){ 0 };
    must(dnnl_primitive_create(&c->primitive, pd), "primitive");
    return c;
}

static void with(call *c, int argument, dnnl_memory_t memory)
{
    c->argument[c->arguments++] = (dnnl_exec_arg_t){ argument, memory };
}

/* `from` in the layout that a primitive asks for: itself, or a copy that each step makes anew. */
static dnnl_memory_t reordered(bench *b, dnnl_memory_t from, const dnnl_memory_desc_t *to)
{
    if (dnnl_memory_desc_equal(description(from), to)) return from;
    dnnl_memory_t copy = memory_like(b, to);
    dnnl_primitive_desc_t pd;
    must(dnnl_reorder_primitive_desc_create(&pd, description(from), b->engine, to, b->engine, NULL),
         "reorder");
    call *c = new_call(b, pd);
    with(c, DNNL_ARG_FROM, from);
    with(c, DNNL_ARG_TO, copy);
    return copy;
}

static const dnnl_memory_desc_t *asked(dnnl_primitive_desc_t pd, dnnl_query_t what, int index)
{
    return dnnl_primitive_desc_query_md(pd, what, index);
}

static void run(bench *b)
{
    for (int i = 0; i < b->count; i++)
        must(dnnl_primitive_execute(b->calls[i].primitive, b->stream, b->calls[i].arguments,
                                    b->calls[i].argument),
             "execution");
    must(dnnl_stream_wait(b->stream), "waiting");
}

/* The reorders run once and are forgotten; each step's state goes into the next. */
static void build_inference(bench *b, dnnl_primitive_desc_t pd, dnnl_memory_t x, dnnl_memory_t h0,
                            dnnl_memory_t W_x, dnnl_memory_t W_h, dnnl_memory_t bias, dnnl_memory_t y,
                            dnnl_memory_t h_end)
{
    W_x = reordered(b, W_x, asked(pd, dnnl_query_weights_md, 0));
    W_h = reordered(b, W_h, asked(pd, dnnl_query_weights_md, 1));
    run(b);
    b->count = 0;
    for (int way = 0; way < 2; way++) { /* to and fro */
        call *c = new_call(b, pd);
        with(c, DNNL_ARG_SRC_LAYER, x), with(c, DNNL_ARG_SRC_ITER, way ? h_end : h0);
        with(c, DNNL_ARG_WEIGHTS_LAYER, W_x), with(c, DNNL_ARG_WEIGHTS_ITER, W_h);
        with(c, DNNL_ARG_BIAS, bias);
        with(c, DNNL_ARG_DST_LAYER, y), with(c, DNNL_ARG_DST_ITER, way ? h0 : h_end);
    }
}

static void build(bench *b, int T, int B, int I, int H, int reset_after, int training)
{
    const dnnl_dim_t x_dim[] = { T, B, I }, y_dim[] = { T, B, H }, h_dim[] = { 1, 1, B, H },
                     W_x_dim[] = { 1, 1, I, 3, H }, W_h_dim[] = { 1, 1, H, 3, H },
                     b_dim[] = { 1, 1, reset_after ? 4 : 3, H };
    const double scale = 0.1;
    dnnl_memory_t x = filled(b, dnnl_tnc, 3, x_dim, 1), h0 = filled(b, dnnl_ldnc, 4, h_dim, 1),
                  W_x = filled(b, dnnl_ldigo, 5, W_x_dim, scale),
                  W_h = filled(b, dnnl_ldigo, 5, W_h_dim, scale),
                  bias = filled(b, dnnl_ldgo, 4, b_dim, scale), y = filled(b, dnnl_tnc, 3, y_dim, 0),
                  h_end = filled(b, dnnl_ldnc, 4, h_dim, 0), dx = filled(b, dnnl_tnc, 3, x_dim, 0),
                  dh0 = filled(b, dnnl_ldnc, 4, h_dim, 0), dbias = filled(b, dnnl_ldgo, 4, b_dim, 0),
                  dy = filled(b, dnnl_tnc, 3, y_dim, 1), dh_end = filled(b, dnnl_ldnc, 4, h_dim, 0),
                  dW_x = filled(b, dnnl_ldigo, 5, W_x_dim, 0), dW_h = filled(b, dnnl_ldigo, 5, W_h_dim, 0);
    const dnnl_memory_desc_t any_W_x = shaped(dnnl_format_tag_any, 5, W_x_dim),
                             any_W_h = shaped(dnnl_format_tag_any, 5, W_h_dim);

    dnnl_rnn_desc_t forward, backward;
    dnnl_primitive_desc_t forward_pd, backward_pd;
    must((reset_after ? dnnl_lbr_gru_forward_desc_init : dnnl_gru_forward_desc_init)(
             &forward, training ? dnnl_forward_training : dnnl_forward_inference,
             dnnl_unidirectional_left2right, description(x), description(h0), &any_W_x, &any_W_h,
             description(bias), description(y), description(h_end), 0),
         "forward");
    must(dnnl_primitive_desc_create(&forward_pd, &forward, NULL, b->engine, NULL), "forward");
    must((reset_after ? dnnl_lbr_gru_backward_desc_init : dnnl_gru_backward_desc_init)(
             &backward, dnnl_backward, dnnl_unidirectional_left2right, description(x), description(h0),
             &any_W_x, &any_W_h, description(bias), description(y), description(h_end), description(dx),
             description(dh0), &any_W_x, &any_W_h, description(dbias), description(dy), description(dh_end),
             0),
         "backward");
    must(dnnl_primitive_desc_create(&backward_pd, &backward, NULL, b->engine, forward_pd), "backward");

    if (!training) return build_inference(b, forward_pd, x, h0, W_x, W_h, bias, y, h_end);

    dnnl_memory_t f_W_x = reordered(b, W_x, asked(forward_pd, dnnl_query_weights_md, 0)),
                  f_W_h = reordered(b, W_h, asked(forward_pd, dnnl_query_weights_md, 1)),
                  workspace = memory_like(b, asked(forward_pd, dnnl_query_workspace_md, 0));
    call *c = new_call(b, forward_pd);
    with(c, DNNL_ARG_SRC_LAYER, x), with(c, DNNL_ARG_SRC_ITER, h0);
    with(c, DNNL_ARG_WEIGHTS_LAYER, f_W_x), with(c, DNNL_ARG_WEIGHTS_ITER, f_W_h);
    with(c, DNNL_ARG_BIAS, bias), with(c, DNNL_ARG_WORKSPACE, workspace);
    with(c, DNNL_ARG_DST_LAYER, y), with(c, DNNL_ARG_DST_ITER, h_end);

    dnnl_memory_t b_W_x = reordered(b, W_x, asked(backward_pd, dnnl_query_weights_md, 0)),
                  b_W_h = reordered(b, W_h, asked(backward_pd, dnnl_query_weights_md, 1)),
                  b_dW_x = memory_like(b, asked(backward_pd, dnnl_query_diff_weights_md, 0)),
                  b_dW_h = memory_like(b, asked(backward_pd, dnnl_query_diff_weights_md, 1));
    c = new_call(b, backward_pd);
    with(c, DNNL_ARG_SRC_LAYER, x), with(c, DNNL_ARG_SRC_ITER, h0);
    with(c, DNNL_ARG_WEIGHTS_LAYER, b_W_x), with(c, DNNL_ARG_WEIGHTS_ITER, b_W_h);
    with(c, DNNL_ARG_BIAS, bias), with(c, DNNL_ARG_WORKSPACE, workspace);
    with(c, DNNL_ARG_DST_LAYER, y), with(c, DNNL_ARG_DST_ITER, h_end);
    with(c, DNNL_ARG_DIFF_SRC_LAYER, dx), with(c, DNNL_ARG_DIFF_SRC_ITER, dh0);
    with(c, DNNL_ARG_DIFF_WEIGHTS_LAYER, b_dW_x), with(c, DNNL_ARG_DIFF_WEIGHTS_ITER, b_dW_h);
    with(c, DNNL_ARG_DIFF_BIAS, dbias);
    with(c, DNNL_ARG_DIFF_DST_LAYER, dy), with(c, DNNL_ARG_DIFF_DST_ITER, dh_end);
    b->zeroed[0] = b_dW_x, b->zeroed[1] = b_dW_h, b->zeroed[2] = dbias;
    if (!dnnl_memory_desc_equal(description(b_dW_x), description(dW_x)))
        reordered(b, b_dW_x, description(dW_x));
    if (!dnnl_memory_desc_equal(description(b_dW_h), description(dW_h)))
        reordered(b, b_dW_h, description(dW_h));
}

static void train_step(void *user)
{
    bench *b = user;
    for (int i = 0; i < MOST_ZEROED; i++)
        memset(data_of(b->zeroed[i]), 0, dnnl_memory_desc_get_size(description(b->zeroed[i])));
    run(b);
}

static void stream_steps(void *user)
{
    enum { STREAM_STEPS = 100 }; /* as in gru_stream.c */
    for (int k = 0; k < STREAM_STEPS; k += 2) run(user);
}

int main(int argc, char *argv[])
{
    if (argc < 7 || argc > 8) {
        fprintf(stderr, "usage: onednn_gru_step T B I H threads gru|gru-reset-after [forward]\n");
        return 2;
    }
#if defined(__SSE2__)
    _mm_setcsr(_mm_getcsr() | 0x8040); /* flush denormals, before the threads begin, which inherit it */
#endif
    omp_set_num_threads(atoi(argv[5]));
    static bench b;
    void (*const work)(void *) = argc == 7 ? train_step : stream_steps;
    must(dnnl_engine_create(&b.engine, dnnl_cpu, 0), "engine");
    must(dnnl_stream_create(&b.stream, b.engine, dnnl_stream_default_flags), "stream");
    build(&b, atoi(argv[1]), atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), strcmp(argv[6], "gru") != 0,
          argc == 7);
    for (int i = 0; i < 3; i++) work(&b);
    const dnnl_version_t *v = dnnl_version();
    printf("ready oneDNN %d.%d.%d\n", v->major, v->minor, v->patch);
    return contestant_serve(work, &b, 1);
}

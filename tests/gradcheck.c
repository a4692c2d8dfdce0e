/* tests/gradcheck.c -- every op against central differences, in double.
 *
 * The inputs of a case are parameters, so that every element of every input and every weight is
 * checked in the same way: with L = sum R * y, R fixed and random,
 *
 *     | a - n | <= 1e-9 + 1e-5 max |n|,    n = ( L(x + e) - L(x - e) ) / 2e,    e = 2e-5 max(1, |x|)
 *
 * for the gradient a that the tape gave. A row in the table is what makes an op exist: an op of
 * tensor/ops.def without one fails. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "kernels/recurrent/plan.h"
#include "tensor/tape.h"

_Static_assert(sizeof(tg_real) == 8, "gradients are checked in double");

enum { D = 3, V = 4, MOST = 4096, MOST_OUTPUTS = 7 };

typedef struct fixture {
    tg_context *cx;
    tg_params *ps;
    tg_tape *t;
    int T, B;
    const int *lengths;
    tg_parameter *x, *y, *h, *c; /* c: of cells that have it */
    void *layer, *other;
} fixture;

typedef struct grad_case {
    const char *name;
    tape_op_kind op;
    void (*make)(fixture *f);                /* declares inputs and layers */
    int (*run)(fixture *f, tg_tensor **out); /* how many outputs it made */
} grad_case;

static tg_parameter *input(fixture *f, const char *name, int rank, int a, int b, int c)
{
    return tg_parameter_new(f->ps, name, rank, (int[]){ a, b, c }, (tg_init){ TG_INIT_NORMAL, 1 });
}
static tg_tensor *X(fixture *f) { return tg_parameter_tensor(f->x, f->t); }
static tg_tensor *Y(fixture *f) { return tg_parameter_tensor(f->y, f->t); }
static tg_tensor *H(fixture *f) { return tg_parameter_tensor(f->h, f->t); }

/* ---- ops ---- */

static void make_x(fixture *f) { f->x = input(f, "x", 3, f->T, f->B, D); }
static void make_xy(fixture *f)
{
    make_x(f);
    f->y = input(f, "y", 3, f->T, f->B, D);
}
static void make_x_and_narrow_y(fixture *f)
{
    make_x(f);
    f->y = input(f, "y", 3, f->T, f->B, 2);
}
static void make_logits(fixture *f) { f->x = input(f, "x", 3, f->T, f->B, V); }

#define RUN(name, expression)                                                                                \
    static int run_##name(fixture *f, tg_tensor **out)                                                       \
    {                                                                                                        \
        *out = expression;                                                                                   \
        return 1;                                                                                            \
    }
RUN(add, tg_add(f->t, X(f), Y(f)))
RUN(add_itself, tg_add(f->t, X(f), X(f)))
RUN(subtract, tg_subtract(f->t, X(f), Y(f)))
RUN(subtract_twice, tg_subtract(f->t, Y(f), tg_subtract(f->t, X(f), Y(f))))
RUN(multiply, tg_multiply(f->t, X(f), Y(f)))
RUN(multiply_itself, tg_multiply(f->t, X(f), X(f)))
RUN(scale, tg_scale(f->t, X(f), (tg_real)-1.7))
RUN(sigmoid, tg_sigmoid(f->t, X(f)))
RUN(tanh, tg_tanh(f->t, X(f)))
RUN(relu, tg_relu(f->t, X(f)))
RUN(dropout, tg_dropout(f->t, X(f), (tg_real)0.4))
RUN(sum, tg_sum(f->t, X(f)))
RUN(mean, tg_mean(f->t, tg_multiply(f->t, X(f), X(f))))
RUN(stack, tg_stack(f->t, 3, (tg_tensor *[]){ X(f), Y(f), X(f) }))
RUN(concatenate, tg_concatenate(f->t, X(f), Y(f)))
RUN(concatenate_itself, tg_concatenate(f->t, X(f), X(f)))
RUN(repeat, tg_repeat(f->t, tg_row(f->t, X(f), -1), 3))
RUN(last, tg_last(f->t, X(f), f->lengths ? f->lengths : (const int[]){ f->T, f->T, f->T, f->T }))
/* a row that is all padding is left out, so is the ragged end of others */
RUN(pack, tg_pack(f->t, X(f),
                  (const int[]){ f->T, f->T - 1, f->B > 2 ? 1 : f->T, f->T, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1,
                                 1, 1 }))
RUN(views, tg_multiply(f->t, tg_rows(f->t, X(f), 0, 1),
                       tg_reshape(f->t, tg_row(f->t, X(f), -1), 3, (int[]){ 1, f->B, D })))

static const tg_real targets[] = { 0.1, 0.9, 0.5, 0, 1, 0.3, 0.2, 0.7, 1, 0, 0.4, 0.6 };
static const tg_real weights[] = { 1, 0, 2, 0.5, 1, 1, 0, 3 };

static int fill(fixture *f, tg_real *target, tg_real *weight)
{
    const int n = f->T * f->B * D;
    for (int i = 0; i < n; i++) target[i] = targets[i % 12], weight[i] = weights[i % 8];
    return n;
}
static int run_squared(fixture *f, tg_tensor **out)
{
    tg_real target[MOST], weight[MOST];
    fill(f, target, weight);
    out[0] = tg_mean_squared_error(f->t, X(f), target, NULL, NULL);
    out[1] =
        tg_mean_squared_error(f->t, X(f), target, weight, &(tg_element_loss_config){ .reduction = TG_SUM });
    return 2;
}
static int run_binary(fixture *f, tg_tensor **out)
{
    tg_real target[MOST], weight[MOST];
    fill(f, target, weight);
    out[0] = tg_binary_cross_entropy(f->t, X(f), target, weight, NULL);
    out[1] =
        tg_binary_cross_entropy(f->t, X(f), target, NULL, &(tg_element_loss_config){ .reduction = TG_SUM });
    return 2;
}
static int run_cross_entropy(fixture *f, tg_tensor **out)
{
    int id[MOST];
    for (int i = 0; i < f->T * f->B; i++) id[i] = i % 4 == 2 ? -1 : i * 7 % V;
    out[0] = tg_cross_entropy(f->t, X(f), id, &(tg_cross_entropy_config){ .lengths = f->lengths });
    out[1] = tg_cross_entropy(
        f->t, X(f), id, &(tg_cross_entropy_config){ .reduction = TG_SUM, .label_smoothing = (tg_real)0.1 });
    return 2;
}
/* Targets and weights that are (B,T,..), and lengths. */
static int run_batch_first(fixture *f, tg_tensor **out,
                           tg_tensor *loss(tg_tape *, tg_tensor *, const tg_real[], const tg_real[],
                                           const tg_element_loss_config *))
{
    tg_real target[MOST], weight[MOST];
    const tg_element_loss_config c = { .lengths = f->lengths, .batch_first = true };
    fill(f, target, weight);
    out[0] = loss(f->t, X(f), target, weight, &c);
    out[1] = loss(f->t, X(f), target, NULL, &c);
    return 2;
}
static int run_squared_batch_first(fixture *f, tg_tensor **out)
{
    return run_batch_first(f, out, tg_mean_squared_error);
}
static int run_binary_batch_first(fixture *f, tg_tensor **out)
{
    return run_batch_first(f, out, tg_binary_cross_entropy);
}
static int run_cross_entropy_batch_first(fixture *f, tg_tensor **out)
{
    int id[MOST];
    for (int i = 0; i < f->T * f->B; i++) id[i] = i % 4 == 2 ? -1 : i * 7 % V;
    *out = tg_cross_entropy(f->t, X(f), id,
                            &(tg_cross_entropy_config){ .lengths = f->lengths, .batch_first = true });
    return 1;
}

/* ---- layers ---- */

static void make_embedding(fixture *f) { f->layer = tg_embedding_new(f->ps, "layer", V, D); }
static int run_embedding(fixture *f, tg_tensor **out)
{
    int id[MOST];
    for (int i = 0; i < f->T * f->B; i++)
        id[i] = i % 5 == 3 ? -1 : i * i % V; /* rows used twice, one never */
    *out = tg_embedding_run(f->layer, f->t, id, f->T, f->B);
    return 1;
}
static int run_embedding_batch_first(fixture *f, tg_tensor **out)
{
    int id[MOST];
    for (int i = 0; i < f->T * f->B; i++) id[i] = i % 5 == 3 ? -1 : i * i % V;
    *out = tg_embedding_run_batch_first(f->layer, f->t, id, f->B, f->T);
    return 1;
}
static void make_linear(fixture *f)
{
    make_x(f);
    f->layer = tg_linear_new(f->ps, "layer", D, 5, NULL);
}
static void make_linear_without_bias(fixture *f)
{
    make_x(f);
    f->layer = tg_linear_new(f->ps, "layer", D, 5, &(tg_linear_config){ .no_bias = true });
}
RUN(linear, tg_linear_run(f->layer, f->t, X(f)))
RUN(linear_twice,
    tg_add(f->t, tg_linear_run(f->layer, f->t, X(f)), tg_linear_run(f->layer, f->t, tg_tanh(f->t, X(f)))))

static void make_tied(fixture *f)
{
    f->other = tg_embedding_new(f->ps, "embedding", V, D);
    f->layer = tg_linear_new(f->ps, "layer", D, V, &(tg_linear_config){ .tied = f->other });
}
static int run_tied(fixture *f, tg_tensor **out)
{
    int id[MOST];
    for (int i = 0; i < f->T * f->B; i++) id[i] = i % 5 == 3 ? -1 : i * i % V;
    *out = tg_linear_run(f->layer, f->t, tg_tanh(f->t, tg_embedding_run(f->other, f->t, id, f->T, f->B)));
    return 1;
}

static void make_rnn(fixture *f, tg_rnn_config config)
{
    make_x(f);
    f->layer = tg_rnn_new(f->ps, "rnn", D, 4, &config);
    const tg_rnn_info l = tg_rnn_describe(f->layer);
    f->h = input(f, "h0", 3, l.layers * l.directions, f->B, 4);
    if (l.states > 1) f->c = input(f, "c0", 3, l.layers * l.directions, f->B, 4);
}
#define RNN(name, ...)                                                                                       \
    static void make_##name(fixture *f) { make_rnn(f, (tg_rnn_config){ __VA_ARGS__ }); }
RNN(3_layers, .layers = 3)
#define TG_CELL(enumerator, file, text)                                                                      \
    RNN(file, .cell = enumerator)                                                                            \
    RNN(file##_deep, .cell = enumerator, .layers = 2, .bidirectional = true, .dropout = (tg_real)0.3)        \
    RNN(file##_masked, .cell = enumerator, .layers = 2, .zoneout = (tg_real)0.3,                             \
        .zoneout_c = enumerator == TG_LSTM ? (tg_real)0.4 : 0, .state_dropout = (tg_real)0.4)                \
    RNN(file##_normalized, .cell = enumerator, .bidirectional = true, .layer_norm = true)                    \
    RNN(file##_all, .cell = enumerator, .zoneout = (tg_real)0.3, .state_dropout = (tg_real)0.4,              \
        .layer_norm = true)
#include <tidegate/cells.def>
#undef TG_CELL

/* The states before; from is NULL for cells without c. */
static tg_state before(fixture *f)
{
    return (tg_state){ H(f), f->c ? tg_parameter_tensor(f->c, f->t) : NULL };
}
static int rnn_outputs(tg_tensor *y, tg_state after, tg_tensor **out)
{
    out[0] = y, out[1] = after.h, out[2] = after.c;
    return after.c ? 3 : 2;
}

/* Every step's output and the states after the last step, each with its own gradient. */
static int run_rnn(fixture *f, tg_tensor **out)
{
    tg_state in = before(f), after;
    tg_tensor *y = tg_rnn_run(f->layer, f->t, X(f), f->lengths, &in, &after);
    return rnn_outputs(y, after, out);
}
/* Only the state h, and from zeros. */
static int run_rnn_state(fixture *f, tg_tensor **out)
{
    tg_state after;
    tg_rnn_run(f->layer, f->t, X(f), f->lengths, NULL, &after);
    *out = after.h;
    return 1;
}
/* The same layer run on its input twice, the second time from the state of the first. */
static int run_rnn_twice(fixture *f, tg_tensor **out)
{
    tg_state in = before(f), middle, after;
    tg_tensor *y = tg_rnn_run(f->layer, f->t, X(f), f->lengths, &in, &middle);
    y = tg_add(f->t, y, tg_rnn_run(f->layer, f->t, X(f), f->lengths, &middle, &after));
    return rnn_outputs(y, after, out);
}
static int run_rnn_steps(fixture *f, tg_tensor **out)
{
    tg_state state = before(f);
    tg_tensor *y = NULL;
    for (int k = 0; k < f->T; k++) y = tg_rnn_step(f->layer, f->t, tg_row(f->t, X(f), k), &state, &state);
    return rnn_outputs(y, state, out);
}

/* ---- attention ---- */

enum { S = 3, M = 4 };

/* Lengths of the memory: all there are, an empty one among them. */
static const int memory_lengths[] = { 2, 3, 1, 0, 3, 3, 1, 2, 3, 1, 2, 3, 0, 1, 2, 3, 2 };

static void make_attention(fixture *f, tg_attention_config config)
{
    f->x = input(f, "query", 3, f->T, f->B, M);
    f->y = input(f, "memory", 3, S, f->B, M);
    f->layer = tg_attention_new(f->ps, "attention", M, M, &config);
}
#define ATTENTION(name, ...)                                                                                 \
    static void make_##name(fixture *f) { make_attention(f, (tg_attention_config){ __VA_ARGS__ }); }
ATTENTION(additive, .kind = TG_ATTENTION_ADDITIVE, .units = 5)
ATTENTION(additive_coverage, .kind = TG_ATTENTION_ADDITIVE, .coverage = true)
ATTENTION(dot, .kind = TG_ATTENTION_DOT)
ATTENTION(dot_coverage, .kind = TG_ATTENTION_DOT, .coverage = true)
ATTENTION(general, .kind = TG_ATTENTION_GENERAL)
ATTENTION(general_coverage, .kind = TG_ATTENTION_GENERAL, .coverage = true)

static int run_attention(fixture *f, tg_tensor **out)
{
    const tg_memory memory = tg_attention_memory(f->layer, f->t, Y(f), f->lengths ? memory_lengths : NULL);
    *out = tg_attention_run(f->layer, f->t, X(f), &memory, NULL);
    return 1;
}
static int run_attention_to_itself(fixture *f, tg_tensor **out)
{
    const tg_memory memory = tg_attention_memory(f->layer, f->t, X(f), NULL);
    *out = tg_attention_run(f->layer, f->t, X(f), &memory, NULL);
    return 1;
}

static void make_attention_rnn(fixture *f, tg_attention_rnn_config config)
{
    make_x(f);
    f->y = input(f, "memory", 3, S, f->B, M);
    f->h = input(f, "h0", 2, f->B, M, 0);
    f->layer = tg_attention_rnn_new(f->ps, "decoder", D, M, M, &config);
    if (config.cell == TG_LSTM) f->c = input(f, "c0", 2, f->B, M, 0);
}
#define ATTENTION_RNN(name, ...)                                                                             \
    static void make_##name(fixture *f) { make_attention_rnn(f, (tg_attention_rnn_config){ __VA_ARGS__ }); }
ATTENTION_RNN(bahdanau, .attention = { .kind = TG_ATTENTION_ADDITIVE, .units = 3 })
ATTENTION_RNN(bahdanau_coverage, .cell = TG_GRU_RESET_AFTER,
              .attention = { .kind = TG_ATTENTION_ADDITIVE, .coverage = true })
ATTENTION_RNN(luong_dot, .attention = { .kind = TG_ATTENTION_DOT }, .attentional = 5)
ATTENTION_RNN(luong_general, .cell = TG_GRU_RESET_AFTER, .attention = { .kind = TG_ATTENTION_GENERAL })
ATTENTION_RNN(luong_feeding, .attention = { .kind = TG_ATTENTION_GENERAL }, .attentional = 3,
              .input_feeding = true)
ATTENTION_RNN(luong_all, .cell = TG_GRU_RESET_AFTER,
              .attention = { .kind = TG_ATTENTION_DOT, .coverage = true }, .input_feeding = true)

#define TG_CELL(enumerator, file, text)                                                                      \
    ATTENTION_RNN(file##_bahdanau, .cell = enumerator, .attention = { .kind = TG_ATTENTION_ADDITIVE })       \
    ATTENTION_RNN(file##_luong, .cell = enumerator, .attention = { .kind = TG_ATTENTION_DOT },               \
                  .input_feeding = true)
#include <tidegate/cells.def>
#undef TG_CELL

/* Everything that comes out: each step's, and the state after the last. */
static int outputs_of(tg_attended y, tg_attention_state after, tg_tensor **out)
{
    int n = 0;
    tg_tensor *all[] = { y.output, y.context,         y.attentional, after.h,
                         after.c,  after.attentional, after.coverage };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i]) out[n++] = all[i];
    return n;
}
static tg_memory memory_of(fixture *f)
{
    return tg_attention_rnn_memory(f->layer, f->t, Y(f), f->lengths ? memory_lengths : NULL);
}
static int run_attention_rnn(fixture *f, tg_tensor **out)
{
    tg_attention_state in = { .h = H(f), .c = f->c ? tg_parameter_tensor(f->c, f->t) : NULL }, after;
    const tg_memory memory = memory_of(f);
    const tg_attended y = tg_attention_rnn_run(f->layer, f->t, X(f), f->lengths, &memory, &in, &after);
    return outputs_of(y, after, out);
}
static int run_attention_rnn_twice(fixture *f, tg_tensor **out)
{
    tg_attention_state middle, after;
    const tg_memory memory = memory_of(f);
    const tg_attended y = tg_attention_rnn_run(f->layer, f->t, X(f), f->lengths, &memory, NULL, &middle);
    tg_attended again = tg_attention_rnn_run(f->layer, f->t, X(f), f->lengths, &memory, &middle, &after);
    again.output = tg_add(f->t, again.output, y.output);
    return outputs_of(again, after, out);
}

static const grad_case op_cases[] = {
    { "add", TAPE_OP_add, make_xy, run_add },
    { "add a tensor to itself", TAPE_OP_add, make_x, run_add_itself },
    { "subtract", TAPE_OP_subtract, make_xy, run_subtract },
    { "subtract a tensor used twice", TAPE_OP_subtract, make_xy, run_subtract_twice },
    { "multiply", TAPE_OP_multiply, make_xy, run_multiply },
    { "multiply a tensor by itself", TAPE_OP_multiply, make_x, run_multiply_itself },
    { "scale", TAPE_OP_scale, make_x, run_scale },
    { "sigmoid", TAPE_OP_sigmoid, make_x, run_sigmoid },
    { "tanh", TAPE_OP_tanh, make_x, run_tanh },
    { "relu", TAPE_OP_relu, make_x, run_relu },
    { "dropout", TAPE_OP_dropout, make_x, run_dropout },
    { "sum", TAPE_OP_sum, make_x, run_sum },
    { "mean", TAPE_OP_mean, make_x, run_mean },
    { "stack, one tensor twice", TAPE_OP_stack, make_xy, run_stack },
    { "concatenate", TAPE_OP_concatenate, make_x_and_narrow_y, run_concatenate },
    { "concatenate a tensor with itself", TAPE_OP_concatenate, make_x, run_concatenate_itself },
    { "repeat", TAPE_OP_repeat, make_x, run_repeat },
    { "last", TAPE_OP_last, make_x, run_last },
    { "pack", TAPE_OP_pack, make_x, run_pack },
    { "views of one tensor", TAPE_OP_multiply, make_x, run_views },
    { "mean squared error", TAPE_OP_mean_squared_error, make_x, run_squared },
    { "binary cross entropy", TAPE_OP_binary_cross_entropy, make_x, run_binary },
    { "cross entropy", TAPE_OP_cross_entropy, make_logits, run_cross_entropy },
    { "mean squared error, batch first", TAPE_OP_mean_squared_error, make_x, run_squared_batch_first },
    { "binary cross entropy, batch first", TAPE_OP_binary_cross_entropy, make_x, run_binary_batch_first },
    { "cross entropy, batch first", TAPE_OP_cross_entropy, make_logits, run_cross_entropy_batch_first },
    { "embedding", TAPE_OP_embedding, make_embedding, run_embedding },
    { "embedding, batch first", TAPE_OP_embedding, make_embedding, run_embedding_batch_first },
    { "linear", TAPE_OP_linear, make_linear, run_linear },
    { "linear without bias", TAPE_OP_linear, make_linear_without_bias, run_linear },
    { "linear used twice", TAPE_OP_linear, make_linear, run_linear_twice },
    { "linear tied to an embedding", TAPE_OP_linear, make_tied, run_tied },
};

static const grad_case rnn_cases[] = {
    { "gru, 3 layers", TAPE_OP_rnn, make_3_layers, run_rnn },
#define TG_CELL(enumerator, file, text)                                                                      \
    { text, TAPE_OP_rnn, make_##file, run_rnn },                                                             \
        { text ", state only", TAPE_OP_rnn, make_##file, run_rnn_state },                                    \
        { text ", run twice", TAPE_OP_rnn, make_##file, run_rnn_twice },                                     \
        { text ", step by step", TAPE_OP_rnn, make_##file, run_rnn_steps },                                  \
        { text ", 2 layers, 2 directions, dropout", TAPE_OP_rnn, make_##file##_deep, run_rnn },              \
        { text ", zoneout, dropout of the state", TAPE_OP_rnn, make_##file##_masked, run_rnn },              \
        { text ", layer normalization", TAPE_OP_rnn, make_##file##_normalized, run_rnn },                    \
        { text ", all of these", TAPE_OP_rnn, make_##file##_all, run_rnn_steps },
#include <tidegate/cells.def>
#undef TG_CELL
};

static const grad_case attention_cases[] = {
    { "additive", TAPE_OP_attention, make_additive, run_attention },
    { "additive, coverage", TAPE_OP_attention, make_additive_coverage, run_attention },
    { "dot", TAPE_OP_attention, make_dot, run_attention },
    { "dot, coverage", TAPE_OP_attention, make_dot_coverage, run_attention },
    { "dot to itself", TAPE_OP_attention, make_dot, run_attention_to_itself },
    { "general", TAPE_OP_attention, make_general, run_attention },
    { "general, coverage", TAPE_OP_attention, make_general_coverage, run_attention },
    { "keys", TAPE_OP_attention_keys, make_general, run_attention_to_itself },
    { "Bahdanau", TAPE_OP_attention_rnn, make_bahdanau, run_attention_rnn },
    { "Bahdanau, run twice", TAPE_OP_attention_rnn, make_bahdanau, run_attention_rnn_twice },
    { "Bahdanau, reset after, coverage", TAPE_OP_attention_rnn, make_bahdanau_coverage, run_attention_rnn },
    { "Bahdanau, coverage, run twice", TAPE_OP_attention_rnn, make_bahdanau_coverage,
      run_attention_rnn_twice },
    { "Luong, dot", TAPE_OP_attention_rnn, make_luong_dot, run_attention_rnn },
    { "Luong, general, reset after", TAPE_OP_attention_rnn, make_luong_general, run_attention_rnn },
    { "Luong, input feeding", TAPE_OP_attention_rnn, make_luong_feeding, run_attention_rnn },
    { "Luong, input feeding, run twice", TAPE_OP_attention_rnn, make_luong_feeding, run_attention_rnn_twice },
    { "Luong, feeding, coverage, run twice", TAPE_OP_attention_rnn, make_luong_all, run_attention_rnn_twice },
#define TG_CELL(enumerator, file, text)                                                                      \
    { "Bahdanau, " text, TAPE_OP_attention_rnn, make_##file##_bahdanau, run_attention_rnn },                 \
        { "Luong, feeding, " text, TAPE_OP_attention_rnn, make_##file##_luong, run_attention_rnn_twice },
#include <tidegate/cells.def>
#undef TG_CELL
};

static const struct {
    const grad_case *c;
    int n;
} tables[] = {
    { op_cases, sizeof op_cases / sizeof *op_cases },
    { rnn_cases, sizeof rnn_cases / sizeof *rnn_cases },
    { attention_cases, sizeof attention_cases / sizeof *attention_cases },
};

enum {
    OP_CASES = sizeof op_cases / sizeof *op_cases,
    RNN_CASES = sizeof rnn_cases / sizeof *rnn_cases,
    ATTENTION_CASES = sizeof attention_cases / sizeof *attention_cases
};

/* (T, B), and lengths; an all-padding row among them */
static const struct batch_shape {
    int T, B;
    const int *lengths;
    const char *text;
} shapes[] = {
    { 1, 1, NULL, "T=1 B=1" },
    { 1, 3, NULL, "T=1 B=3" },
    { 4, 1, NULL, "T=4 B=1" },
    { 3, 2, NULL, "T=3 B=2" },
    { 4, 3, (const int[]){ 2, 4, 1 }, "ragged, T=4 B=3" },
    { 4, 4, (const int[]){ 3, 0, 1, 3 }, "ragged with an all-padding row, shorter than T" },
    { 2, 17, (const int[]){ 1, 2, 2, 0, 1, 2, 1, 1, 2, 2, 2, 1, 0, 2, 1, 2, 2 }, "two blocks of rows" },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* ---- the check ---- */

static uint64_t seen; /* ops that were on a tape, this process */

static double forward(fixture *f, const grad_case *c, tg_real R[][MOST], tg_tensor **out, int *outputs)
{
    double L = 0;
    tg_context_set_step(f->cx, 1); /* back to step 0 from another one: the same dropout masks each time */
    tg_tape_begin(f->t, TG_TRAIN);
    tg_context_set_step(f->cx, 0);
    tg_tape_begin(f->t, TG_TRAIN);
    *outputs = c->run(f, out);
    ck_assert_msg(tg_context_ok(f->cx), "%s: %s", c->name, tg_context_message(f->cx));
    for (int k = 0; k < *outputs; k++) {
        ck_assert_uint_le(tg__size(out[k]), MOST);
        for (size_t i = 0; i < tg__size(out[k]); i++) L += R[k][i] * out[k]->data[i];
    }
    return L;
}

static void check_gradients(const grad_case *c, const struct batch_shape *s)
{
    static tg_real R[MOST_OUTPUTS][MOST], value[MOST], got[MOST];
    static double numeric[MOST];
    tg_tensor *out[MOST_OUTPUTS];
    int outputs;
    fixture f = { .T = s->T, .B = s->B, .lengths = s->lengths };
    tg__recurrent_sharing_override = 1; /* also of these small batches */
    f.cx = tg_context_new(&(tg_context_config){ .seed = 3, .threads = 2 });
    f.ps = tg_params_new(f.cx);
    f.t = tg_tape_new(f.cx);
    c->make(&f);
    ck_assert_msg(tg_context_ok(f.cx), "%s: %s", c->name, tg_context_message(f.cx));
    for (int k = 0; k < MOST_OUTPUTS; k++)
        for (int i = 0; i < MOST; i++) R[k][i] = 2 * tg_random_uniform(f.cx, "R", k, (uint64_t)i) - 1;
    /* biases start at zero: move everything off the special points */
    for (int p = 0; p < tg_params_count(f.ps); p++) {
        tg_parameter_info info;
        tg_params_info(f.ps, p, &info);
        ck_assert_int_eq(tg_params_get(f.ps, info.name, value, info.size), TG_OK);
        for (size_t i = 0; i < info.size; i++)
            value[i] += 0.6 * (tg_random_uniform(f.cx, info.name, 1, i) - 0.5);
        ck_assert_int_eq(tg_params_set(f.ps, info.name, value, info.size), TG_OK);
    }

    forward(&f, c, R, out, &outputs);
    const tg_real *arriving[MOST_OUTPUTS];
    for (int k = 0; k < MOST_OUTPUTS; k++) arriving[k] = R[k];
    ck_assert_int_eq(tg_tape_backward_from(f.t, outputs, out, arriving), TG_OK);
    seen |= f.t->seen;
    for (int p = 0; p < tg_params_count(f.ps); p++) {
        tg_parameter_info info;
        tg_params_info(f.ps, p, &info);
        ck_assert_int_eq(tg_params_get(f.ps, info.name, value, info.size), TG_OK);
        ck_assert_int_eq(tg_params_get_gradient(f.ps, info.name, got, info.size), TG_OK);
        double largest = 0;
        for (size_t i = 0; i < info.size; i++) {
            const double x = value[i], e = 2e-5 * fmax(1, fabs(x));
            value[i] = x + e;
            ck_assert_int_eq(tg_params_set(f.ps, info.name, value, info.size), TG_OK);
            const double up = forward(&f, c, R, out, &outputs);
            value[i] = x - e;
            ck_assert_int_eq(tg_params_set(f.ps, info.name, value, info.size), TG_OK);
            const double down = forward(&f, c, R, out, &outputs);
            value[i] = x;
            numeric[i] = (up - down) / (2 * e);
            largest = fmax(largest, fabs(numeric[i]));
        }
        ck_assert_int_eq(tg_params_set(f.ps, info.name, value, info.size), TG_OK);
        for (size_t i = 0; i < info.size; i++)
            ck_assert_msg(fabs(got[i] - numeric[i]) <= 1e-9 + 1e-5 * largest,
                          "%s, %s: d%s[%zu] is %.12g, numerically %.12g", c->name, s->text, info.name, i,
                          got[i], numeric[i]);
    }
    tg_context_free(f.cx);
}

START_TEST(gradients_of_ops_are_numeric_gradients)
{
    for (int s = 0; s < SHAPES; s++) check_gradients(&op_cases[_i], &shapes[s]);
}
END_TEST

START_TEST(gradients_of_recurrent_layers_are_numeric_gradients)
{
    for (int s = 0; s < SHAPES; s++)
        if (rnn_cases[_i].run != run_rnn_steps || !shapes[s].lengths)
            check_gradients(&rnn_cases[_i], &shapes[s]);
}
END_TEST

START_TEST(gradients_of_attention_are_numeric_gradients)
{
    for (int s = 0; s < SHAPES; s++) check_gradients(&attention_cases[_i], &shapes[s]);
}
END_TEST

START_TEST(every_op_has_a_case_that_runs_it)
{
    for (int op = 0; op < TAPE_OP_COUNT; op++) {
        int cases = 0;
        for (size_t k = 0; k < sizeof tables / sizeof *tables; k++)
            for (int i = 0; i < tables[k].n; i++) {
                const grad_case *c = &tables[k].c[i];
                if ((int)c->op != op) continue;
                seen = 0;
                check_gradients(c, &shapes[3]);
                ck_assert_msg(seen >> op & 1, "the case '%s' does not run the op %s", c->name,
                              tg__tape_op_name[op]);
                cases++;
            }
        ck_assert_msg(cases > 0, "the op %s of tensor/ops.def has no gradient check", tg__tape_op_name[op]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gradcheck");
    TCase *ops = tcase_create("ops"), *rnn = tcase_create("rnn"), *attention = tcase_create("attention");
    tcase_set_timeout(ops, 60);
    tcase_set_timeout(rnn, 60);
    tcase_set_timeout(attention, 60);
    tcase_add_loop_test(ops, gradients_of_ops_are_numeric_gradients, 0, OP_CASES);
    tcase_add_loop_test(rnn, gradients_of_recurrent_layers_are_numeric_gradients, 0, RNN_CASES);
    tcase_add_loop_test(attention, gradients_of_attention_are_numeric_gradients, 0, ATTENTION_CASES);
    tcase_add_test(ops, every_op_has_a_case_that_runs_it);
    suite_add_tcase(suite, ops);
    suite_add_tcase(suite, rnn);
    suite_add_tcase(suite, attention);
    return run_suite(suite);
}

/* kernels/recurrent/cell.h -- the description of a recurrent cell, which is all that the library knows about one.
 *
 * A step of a cell computes, from the input x(t) and the states before, its gates, some values that are kept for the
 * backward pass, and the states after. State 0 is h, the output. The equations have the form
 *
 *     sums(t)  = x(t) W_x + some columns of ( h(t-1) or a kept value ) W_h
 *     gates(t) = element-wise functions of sums(t), biases and states
 *
 * so a cell is described by two things: which recurrent products it needs, from where and into where (a table, below),
 * and its element-wise functions. A step is cut into phases where a product needs all units of a value that the step itself
 * computes. The table is read three times: for the forward products, for the transposed products that carry the gradient
 * back to h(t-1) and to the kept values, and for the gradients of W_h. */
#ifndef KERNELS_RECURRENT_CELL_H
#define KERNELS_RECURRENT_CELL_H

#include <tidegate/core.h>

enum { CELL_GATES = 4, CELL_KEPT = 2, CELL_STATES = 2, CELL_PHASES = 2, CELL_PRODUCTS = 2 }; /* at most */

/* Some rows of the batch at one step, and some units of each: what an element-wise function works on. An array's row i begins
 * at i * row_step * (its stride), where the stride of gates is gates * H, of kept is kept * H, and of all others without a
 * stride of their own is H. Column k of a row is its elements k*H ... k*H + H - 1. */
typedef struct cell_step {
    int rows, row_step, H;
    int first, end;                     /* units first ... end-1; first is a multiple of the panels' width */
    int gate_columns, kept_columns;     /* columns of H elements in a row of gates and of kept */
    const tg_real *b, *b_h;             /* (gates * H); b_h: second biases, of cells that have them */
    const tg_real *before[CELL_STATES]; /* the states before the step */
    size_t before_stride[CELL_STATES];
    tg_real
        *gates; /* forward: sums on entry, gates on return; backward: gates, then the gradients of the sums */
    tg_real *
        kept; /* forward: set; backward: read, and, of a column that is a product's target, set to its gradient */
    tg_real *y; /* forward: set to h(t) */
    size_t y_stride;
    tg_real *d
        [CELL_STATES]; /* backward: the gradients of the states after, set to the element-wise part of those before */
    const tg_real *dkept; /* backward: the gradient of the kept column that a product reads */
} cell_step;

typedef void cell_function(const cell_step *s);

/* What the products of a phase multiply: h(t-1), or a kept column. */
typedef enum product_source { FROM_NOTHING, FROM_HIDDEN, FROM_KEPT } product_source;
typedef enum product_target { INTO_GATES, INTO_KEPT } product_target;

/* target columns to ... = source * W_h columns column ..., added to the gates' sums; a kept column is set. */
typedef struct recurrent_product {
    int column, columns; /* of W_h */
    product_target into;
    int to;
} recurrent_product;

typedef struct cell_phase {
    product_source from;
    int kept; /* FROM_KEPT: which column */
    int products;
    recurrent_product product[CELL_PRODUCTS];
    cell_function *forward, *backward;
} cell_phase;

typedef struct recurrent_cell {
    const char *gate[CELL_GATES];   /* letters of the equations: "z" names W_xz, W_hz and b_z */
    const char *state[CELL_STATES]; /* "h", "c": state 1 is kept column 0 */
    int gates, kept, states;        /* columns of H elements a token, and states */
    int recurrent;                  /* columns of W_h: the products' columns together; 0: there is no W_h */
    bool recurrent_bias;            /* a second bias a column of W_h */
    tg_real bias[CELL_GATES];       /* where the biases start */
    int phases;
    cell_phase phase[CELL_PHASES];
} recurrent_cell;

/* The description whose functions are compiled for the instruction set in use; cell: a tg_cell that exists. */
const recurrent_cell *tg__cell(int cell);
static inline bool tg__cell_exists(int cell)
{
    enum {
#define TG_CELL(enumerator, file, name) CELL_##file,
#include <tidegate/cells.def>
#undef TG_CELL
        CELLS
    };
    return cell >= 0 && cell < CELLS;
}

#endif

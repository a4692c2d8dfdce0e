/* tests/reference_cell.h -- the forward pass of every recurrent cell in plain loops and in double, written from the equations
 * at the top of src/kernels/recurrent/cells/<file>.c, and from nothing else of the library. */
#ifndef REFERENCE_CELL_H
#define REFERENCE_CELL_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { REFERENCE_H = 64 }; /* the largest H */

/* One direction of one layer. Parameters by their gate's letter: W_x['z'] is W_xz (I,H); those that a cell lacks are NULL. */
typedef struct reference_cell {
    const char *name; /* as in tg_cell_name() */
    int I, H;
    const double *W_x[128], *W_h[128], *b[128], *b_h[128]; /* (I,H), (H,H), (H), (H) */
} reference_cell;

static double reference_sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* s (H) += v (n) W (n,H) */
static void reference_product(int n, int H, const double *v, const double *W, double *s)
{
    for (int k = 0; k < n; k++)
        for (int j = 0; j < H; j++) s[j] += v[k] * W[k * H + j];
}

/* s (H) = x W_x + b of one gate */
static void reference_input(const reference_cell *r, char gate, const double *x, double *s)
{
    for (int j = 0; j < r->H; j++) s[j] = r->b[(int)gate][j];
    reference_product(r->I, r->H, x, r->W_x[(int)gate], s);
}

/* s (H) = x W_x + b + h W_h + b_h of one gate */
static void reference_sums(const reference_cell *r, char gate, const double *x, const double *h, double *s)
{
    reference_input(r, gate, x, s);
    reference_product(r->H, r->H, h, r->W_h[(int)gate], s);
    for (int j = 0; j < r->H && r->b_h[(int)gate]; j++) s[j] += r->b_h[(int)gate][j];
}

/* One step of one row: from h and c (H) before to h and c after; c is used by the LSTM alone. */
static bool reference_step(const reference_cell *r, const double *x, double *h, double *c)
{
    const int H = r->H;
    double z[REFERENCE_H], s[REFERENCE_H], g[REFERENCE_H], o[REFERENCE_H], q[REFERENCE_H] = { 0 };
    if (!strcmp(r->name, "gru")) {
        reference_sums(r, 'z', x, h, z);
        reference_sums(r, 'r', x, h, s);
        for (int j = 0; j < H; j++) q[j] = reference_sigmoid(s[j]) * h[j];
        reference_sums(r, 'g', x, q, g);
        for (int j = 0; j < H; j++)
            h[j] = reference_sigmoid(z[j]) * h[j] + (1 - reference_sigmoid(z[j])) * tanh(g[j]);
    } else if (!strcmp(r->name, "gru-reset-after")) {
        reference_sums(r, 'z', x, h, z);
        reference_sums(r, 'r', x, h, s);
        reference_input(r, 'g', x, g);
        reference_product(H, H, h, r->W_h['g'], q);
        for (int j = 0; j < H; j++) {
            const double candidate = tanh(g[j] + reference_sigmoid(s[j]) * (q[j] + r->b_h['g'][j]));
            h[j] = reference_sigmoid(z[j]) * h[j] + (1 - reference_sigmoid(z[j])) * candidate;
        }
    } else if (!strcmp(r->name, "lstm")) {
        reference_sums(r, 'i', x, h, s);
        reference_sums(r, 'f', x, h, z);
        reference_sums(r, 'g', x, h, g);
        reference_sums(r, 'o', x, h, o);
        for (int j = 0; j < H; j++) {
            c[j] = reference_sigmoid(z[j]) * c[j] + reference_sigmoid(s[j]) * tanh(g[j]);
            h[j] = reference_sigmoid(o[j]) * tanh(c[j]);
        }
    } else if (!strcmp(r->name, "tanh") || !strcmp(r->name, "relu")) {
        reference_sums(r, 'h', x, h, s);
        for (int j = 0; j < H; j++) h[j] = r->name[0] == 't' ? tanh(s[j]) : fmax(0, s[j]);
    } else if (!strcmp(r->name, "mingru")) {
        reference_input(r, 'z', x, z);
        reference_input(r, 'g', x, g);
        for (int j = 0; j < H; j++)
            h[j] = (1 - reference_sigmoid(z[j])) * h[j] + reference_sigmoid(z[j]) * g[j];
    } else {
        return false;
    }
    return true;
}

/* x (T,B,I) -> y (T,B,H); h and c (B,H): the states before, replaced by those after. False: no cell has this name. */
static bool reference_run(const reference_cell *r, int T, int B, const double *x, double *h, double *c,
                          double *y)
{
    const int I = r->I, H = r->H;
    for (int i = 0; i < T * B; i++) {
        const int row = i % B;
        if (!reference_step(r, x + i * I, h + row * H, c + row * H)) return false;
        memcpy(y + i * H, h + row * H, sizeof *y * (size_t)H);
    }
    return true;
}

#endif

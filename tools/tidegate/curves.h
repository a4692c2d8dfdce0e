/* tools/tidegate/curves.h -- the picture of learning curves. */
#ifndef CURVES_H
#define CURVES_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "metrics_table.h"

enum { CURVES_MOST_RUNS = 6 }; /* as many as there are colours that everybody can tell apart */

typedef struct curves_run {
    char name[PATH_MAX]; /* its directory */
    char loss[80];       /* the loss and its unit: "loss (nats per token)", or "loss" where it is not known */
    metrics_table metrics;
} curves_run;

typedef enum curves_scale { CURVES_AUTO, CURVES_LINEAR, CURVES_LOG } curves_scale;

/* Draws losses, learning rates and gradient norms of runs as SVG. CURVES_AUTO: losses on a logarithmic scale where
 * they span more than a factor of 20; CURVES_LOG: where all are positive. false: out of memory. */
bool curves_draw(FILE *f, int runs, const curves_run run[], curves_scale scale);

#endif

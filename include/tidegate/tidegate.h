/* tidegate/tidegate.h -- all of it. */
#ifndef TIDEGATE_H
#define TIDEGATE_H

#include "archive.h"
#include "blas.h"
#include "checkpoint.h"
#include "core.h"
#include "data.h"
#include "decoding.h"
#include "encoder_decoder.h"
#include "layers.h"
#include "losses.h"
#include "measure.h"
#include "metrics.h"
#include "ops.h"
#include "optimizer.h"
#include "params.h"
#include "tape.h"
#include "tensor.h"
#include "train.h"

#endif

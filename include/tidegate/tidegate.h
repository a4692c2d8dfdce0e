/* tidegate/tidegate.h -- all of it. */
#ifndef TIDEGATE_H
#define TIDEGATE_H

#include "archive.h"
#include "attention.h"
#include "attention_rnn.h"
#include "batches.h"
#include "blas.h"
#include "checkpoint.h"
#include "core.h"
#include "decoding.h"
#include "embedding.h"
#include "encoder_decoder.h"
#include "linear.h"
#include "losses.h"
#include "measure.h"
#include "metrics.h"
#include "ops.h"
#include "optimizer.h"
#include "pairs.h"
#include "params.h"
#include "rnn.h"
#include "tape.h"
#include "tensor.h"
#include "text.h"
#include "tokenizer.h"
#include "train.h"
#include "translator.h"
#include "vocabulary.h"

#endif

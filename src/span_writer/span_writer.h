/* Inside a writer: text.c makes lines for people, span_writer.c takes lines to where they go. */
#ifndef WEIR_SRC_SPAN_WRITER_SPAN_WRITER_H
#define WEIR_SRC_SPAN_WRITER_SPAN_WRITER_H

#include <weir/span_writer.h>

#include "base/text.h"

/* With its line feed. */
void weir__span_line(weir__text *out, const weir_span_data *span);

#endif

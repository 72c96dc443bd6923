/* SPDX-License-Identifier: MIT */
/*
 * What has come to a call, and what its variables are: exceptions, whose numbers are told
 * by how much they differ, and values, which are put together. Runs in the `paddock`
 * command, on what a hostile program may have written: what is told of a record has the
 * size of that record, as text, and of one value more, at most.
 */
#include "common/trace_parts.h"

#include <stdio.h>

void trace_apply_exception(struct trace *trace, const struct trace_past *past)
{
    const struct trace_stack *stack = trace_stack_of(trace);
    bool untold = stack->depth > 0 && stack->calls[stack->depth - 1].untold;

    trace->exception += (uint32_t)past->step;
    if (!trace->quiet && !untold && stack->over == 0) {
        trace_tell_other(trace, (struct trace_event){.kind = WIRE_EXCEPTION,
                                                     .time_us = trace->time_us,
                                                     .exception = trace->exception,
                                                     .type = past->number});
    }
}

/* The whole text, into trace->value. Where there is no memory it is what there is of it.
 */
static void join(struct trace *trace, const struct wire_decoded *record, const char *last,
                 size_t known)
{
    autobuffer struct buffer joined = BUFFER_INIT(4 * LIMIT_RECORD);
    const struct wire_field *fields = record->fields;
    struct buffer *value = &trace->value;

    buffer_add(&joined, last, fields[2].number);
    buffer_add_utf8(&joined, fields[4].bytes, fields[4].size);
    buffer_add(&joined, last + (known - fields[3].number), fields[3].number);
    buffer_reset(value);
    buffer_add(value, "", 0); /* an empty one is a text, too */
    if (joined.size > 0) {
        buffer_add_utf8(value, joined.data, joined.size);
    }
    if (buffer_error(&joined) == 0 && buffer_error(value) == 0) {
        wire_values_keep(&trace->values, fields[0].number, value->data, value->size);
    }
}

void trace_take_variable(struct trace *trace, const struct wire_decoded *record)
{
    uint64_t name = record->fields[0].number, head = record->fields[2].number;
    size_t known;
    const char *last = wire_values_last(&trace->values, name, &known);

    if (head > known || record->fields[3].number > known - head) {
        (void)snprintf(trace->said, sizeof(trace->said),
                       "a value that goes on from one of %zu bytes beyond these", known);
        trace->refusal = trace->said;
        return;
    }
    join(trace, record, last, known);
    trace_tell_other(trace, (struct trace_event){.kind = WIRE_VARIABLE,
                                                 .time_us = record->time_us,
                                                 .name = name,
                                                 .type = record->fields[1].number,
                                                 .text = trace->value.data,
                                                 .text_size = trace->value.size,
                                                 .record = record});
}

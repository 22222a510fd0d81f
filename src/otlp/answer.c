#include "otlp/otlp.h"

#include "base/json.h"

/* In one line, whatever it says. */
static void answer_message(weir__otlp_answer *answer, weir__json *json)
{
    weir__text *const message = &answer->message;
    weir__text_clear(message);
    (void)weir__json_text(json, message);
    for (size_t i = 0; i < message->size; i++)
        if ((unsigned char)message->data[i] < ' ' || message->data[i] == 0x7f)
            message->data[i] = ' ';
}

static void answer_partial(weir__otlp_answer *answer, weir__json *json)
{
    weir__json_object(json);
    while (weir__json_member(json)) {
        if (weir__json_is(json, "rejectedSpans") || weir__json_is(json, "rejectedDataPoints"))
            weir__json_u64(json, 0, INT64_MAX, &answer->rejected);
        else if (weir__json_is(json, "errorMessage"))
            answer_message(answer, json);
        else
            weir__json_skip(json);
    }
}

bool weir__otlp_answer_read(weir__otlp_answer *answer, const char *text, size_t size)
{
    weir__json json;
    answer->rejected = 0;
    weir__text_clear(&answer->message);
    weir__json_begin(&json, text, size);
    weir__json_object(&json);
    while (weir__json_member(&json)) {
        if (weir__json_is(&json, "partialSuccess"))
            answer_partial(answer, &json);
        else if (weir__json_is(&json, "message"))
            answer_message(answer, &json);
        else
            weir__json_skip(&json);
    }
    if (weir__json_end(&json))
        return true;
    answer->rejected = 0;
    weir__text_clear(&answer->message);
    return false;
}

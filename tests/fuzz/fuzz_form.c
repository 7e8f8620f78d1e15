/* A request's body as a form: whatever comes, parsing ends, says the same
 * twice, leaves the body as it was, and parts lie within what was sent.
 *
 * The first byte chooses the Content-Type. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "app/http/request_form.h"
#include "fuzz.h"

static const char *const types[] = {
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data; boundary=\"x y\"",
};

static void
check_parts(struct pit_request *req, size_t size)
{
    const struct pit_part *part;
    size_t total = 0, n = 0;

    while ((part = pit_request_part(req, NULL, n))) {
        assert(part->name && part->content_type && part->data);
        assert(part->data[part->len] == '\0');
        total += part->len;
        n++;
    }
    assert(n <= PIT_PARTS_MAX && total <= size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request_field field = {STR("Content-Type"), STR_NULL};
    struct pit_request req;
    struct arena arena;
    struct error err = {.msg = ""};
    char first[512];

    if (size == 0)
        return 0;
    char *body = malloc(size);
    assert(body);
    memcpy(body, data + 1, size - 1);
    body[size - 1] = '\0';
    field.value = str_c(types[data[0] % ARRAY_LEN(types)]);
    arena_init(&arena, first, sizeof first, 1 << 24);
    request_init(&req, &arena);
    req.err = &err;
    req.fields = &field;
    req.fields_len = 1;
    req.body = body;
    req.body_len = size - 1;

    enum status st = request_form_parse(&req);
    assert(st == request_form_parse(&req));
    assert((st == ST_OK) == (err.msg[0] == '\0'));
    assert(st == ST_OK || st == ST_INVALID || st == ST_TOO_LARGE);
    check_parts(&req, size);
    assert(memcmp(body, data + 1, size - 1) == 0);
    arena_clear(&arena);
    free(body);
    return 0;
}

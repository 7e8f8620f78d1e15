/* What a job's parents have come to: one JSON object, parsed at the first call,
 * in the order in which the claim gave it. */
#include "app/task/job_context.h"
#include "base/jsontext.h"

static json_t *
parse(struct str text)
{
    struct jsontext value;

    /* Bounds the nesting, which jansson follows by recursion. */
    if (text.n == 0 || jsontext_check(text, &value, NULL) != ST_OK)
        return json_object();
    json_t *tree = json_loadb(text.p, text.n, 0, NULL);
    if (json_is_object(tree))
        return tree;
    json_decref(tree);
    return json_object();
}

static json_t *
inputs_of(struct pit_job *job)
{
    if (!job->inputs)
        job->inputs = parse(job->start.inputs);
    return job->inputs;
}

size_t
pit_job_inputs(struct pit_job *job)
{
    return json_object_size(inputs_of(job));
}

const json_t *
pit_job_input(struct pit_job *job, const char *id)
{
    return id ? json_object_get(inputs_of(job), id) : NULL;
}

const json_t *
pit_job_input_at(struct pit_job *job, size_t index, const char **ret_id)
{
    json_t *inputs = inputs_of(job);
    const char *id;
    json_t *value;

    json_object_foreach(inputs, id, value)
    {
        if (index-- > 0)
            continue;
        if (ret_id)
            *ret_id = id;
        return value;
    }
    return NULL;
}

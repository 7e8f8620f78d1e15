/* Args: jansson has unpacked them already, here they are checked. */
#include "args.h"

#include <string.h>

static enum pit_status
read_one(struct pit_job *job, const struct arg *arg, const json_t *value)
{
    if (arg->text) {
        if (!json_is_string(value) || json_string_length(value) == 0)
            return pit_job_fail(job, PIT_PERMANENT,
                                "args: %s must be a text that is not empty",
                                arg->name);
        *arg->text = json_string_value(value);
        return PIT_OK;
    }

    double number = json_number_value(value);
    if (!json_is_number(value) || number < arg->min || number > arg->max)
        return pit_job_fail(job, PIT_PERMANENT,
                            "args: %s must be a number within %g..%g",
                            arg->name, arg->min, arg->max);
    *arg->number = number;
    return PIT_OK;
}

enum pit_status
args_read(struct pit_job *job, const struct arg *known)
{
    const json_t *args = pit_job_args(job);
    size_t found = 0;

    if (json_is_null(args))
        return PIT_OK;
    if (!json_is_object(args))
        return pit_job_fail(job, PIT_PERMANENT, "args: must be an object");

    for (const struct arg *arg = known; arg->name; arg++) {
        const json_t *value = json_object_get(args, arg->name);
        if (!value)
            continue;
        enum pit_status st = read_one(job, arg, value);
        if (st != PIT_OK)
            return st;
        found++;
    }
    if (found < json_object_size(args))
        return pit_job_fail(job, PIT_PERMANENT,
                            "args: has a member that %s does not know",
                            pit_job_task(job));
    return PIT_OK;
}

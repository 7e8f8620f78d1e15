/* job_output.h - a job on standard output, for people or machines. */
#ifndef CLI_JOB_OUTPUT_H
#define CLI_JOB_OUTPUT_H

#include "queue/queue.h"

/* @json: the document that GET /v1/jobs/{id} answers, in one line. */
void job_output_print(const struct job_view *view, bool json);

#endif

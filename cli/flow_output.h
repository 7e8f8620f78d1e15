/* flow_output.h - a flow on standard output, for people or machines. */
#ifndef CLI_FLOW_OUTPUT_H
#define CLI_FLOW_OUTPUT_H

#include "app/document/flow_report.h"

/* @json: the document that GET /v1/flows/{id} answers, in one line. */
void flow_output_print(const struct flow_report *report, bool json);

#endif

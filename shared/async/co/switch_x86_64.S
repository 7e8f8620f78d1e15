/* switch_to() and switch_entry for x86-64, System V ABI: rbx, rbp, r12-r15, the
 * control bits of mxcsr and of the x87 are the callee's to save.
 *
 * It returns by an indirect jump: the return stack of the processor belongs to
 * the stack that was left, so a `ret` would be predicted wrongly every time.
 *
 * There is no property note for control-flow protection here on purpose: a
 * shadow stack does not follow the switch, and without the note the linker
 * leaves it off for the whole program. */
#if defined(__x86_64__) && !defined(PIT_CO_UCONTEXT)

        .text
        .globl  switch_to
        .type   switch_to, @function
        .p2align 4
switch_to:                              /* rdi: from, rsi: to */
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movq    %rsp, (%rdi)
        movq    (%rsi), %rsp            /* the other stack, same layout */
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rcx
        notrack jmpq *%rcx
        .cfi_endproc
        .size   switch_to, . - switch_to

        .globl  switch_entry
        .type   switch_entry, @function
        .p2align 4
switch_entry:                           /* r12: entry, r13: its argument */
        .cfi_startproc
        .cfi_undefined %rip             /* nobody called us */
        endbr64
        xorl    %ebp, %ebp
        movq    %r13, %rdi
        callq   *%r12
        ud2
        .cfi_endproc
        .size   switch_entry, . - switch_entry

#endif
        .section .note.GNU-stack, "", %progbits

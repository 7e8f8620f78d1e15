/* switch_to() and switch_entry for aarch64, AAPCS64: x19-x30, the low halves of
 * v8-v15 (d8-d15) and sp are the callee's to save. */
#if defined(__aarch64__) && !defined(PIT_CO_UCONTEXT)

        .text
        .globl  switch_to
        .type   switch_to, %function
        .p2align 4
switch_to:                              /* x0: from, x1: to */
        .cfi_startproc
        hint    #34                     /* bti c */
        sub     sp, sp, #160
        .cfi_def_cfa_offset 160
        stp     d8, d9, [sp, #0]
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
        stp     x19, x20, [sp, #64]
        stp     x21, x22, [sp, #80]
        stp     x23, x24, [sp, #96]
        stp     x25, x26, [sp, #112]
        stp     x27, x28, [sp, #128]
        stp     x29, x30, [sp, #144]
        .cfi_rel_offset x19, 64
        .cfi_rel_offset x20, 72
        .cfi_rel_offset x21, 80
        .cfi_rel_offset x22, 88
        .cfi_rel_offset x23, 96
        .cfi_rel_offset x24, 104
        .cfi_rel_offset x25, 112
        .cfi_rel_offset x26, 120
        .cfi_rel_offset x27, 128
        .cfi_rel_offset x28, 136
        .cfi_rel_offset x29, 144
        .cfi_rel_offset x30, 152
        mov     x9, sp
        str     x9, [x0]
        ldr     x9, [x1]                /* the other stack, same layout */
        mov     sp, x9
        ldp     d8, d9, [sp, #0]
        ldp     d10, d11, [sp, #16]
        ldp     d12, d13, [sp, #32]
        ldp     d14, d15, [sp, #48]
        ldp     x19, x20, [sp, #64]
        ldp     x21, x22, [sp, #80]
        ldp     x23, x24, [sp, #96]
        ldp     x25, x26, [sp, #112]
        ldp     x27, x28, [sp, #128]
        ldp     x29, x30, [sp, #144]
        add     sp, sp, #160
        .cfi_def_cfa_offset 0
        ret     x30
        .cfi_endproc
        .size   switch_to, . - switch_to

        .globl  switch_entry
        .type   switch_entry, %function
        .p2align 4
switch_entry:                           /* x19: entry, x20: its argument */
        .cfi_startproc
        .cfi_undefined x30              /* nobody called us */
        hint    #36                     /* bti j */
        mov     x29, xzr
        mov     x30, xzr
        mov     x0, x20
        blr     x19
        brk     #1
        .cfi_endproc
        .size   switch_entry, . - switch_entry

#endif
        .section .note.GNU-stack, "", %progbits

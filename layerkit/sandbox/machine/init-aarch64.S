// The first process of a container with --init; what it does, init-x86_64.S says.
//
// x19: argc, argv, envp as they came; x20: the child; [sp]: scratch; [sp+8]: all signals.
        .text
        .globl  _start
_start:
        mov     x19, sp
        mov     x8, 25                  // fcntl(3, F_SETFD, FD_CLOEXEC)
        mov     x0, 3
        mov     x1, 2
        mov     x2, 1
        svc     0
        mov     x9, x0
        mov     x0, 126
        cbnz    x9, exit                // run by the image itself: no descriptor 3
        mov     x9, -1
        stp     xzr, x9, [sp, -16]!
        mov     x8, 135                 // rt_sigprocmask(SIG_SETMASK, all, 0, 8)
        mov     x0, 2
        add     x1, sp, 8
        mov     x2, 0
        mov     x3, 8
        svc     0
        mov     x8, 220                 // clone(SIGCHLD, 0, 0, 0, 0)
        mov     x0, 17
        mov     x1, 0
        mov     x2, 0
        mov     x3, 0
        mov     x4, 0
        svc     0
        tbnz    x0, 63, failed
        cbz     x0, child
        mov     x20, x0
        mov     x8, 436                 // close_range(0, ~0, 0)
        mov     x0, 0
        mov     w1, -1
        mov     x2, 0
        svc     0

wait:   mov     x8, 137                 // rt_sigtimedwait(all, 0, for ever, 8)
        add     x0, sp, 8
        mov     x1, 0
        mov     x2, 0
        mov     x3, 8
        svc     0
        cmp     x0, 17                  // SIGCHLD
        b.eq    reap
        cmp     x0, 0
        b.le    wait
        mov     x1, x0                  // kill(child, the signal)
        mov     x0, x20
        mov     x8, 129
        svc     0
        b       wait

reap:   mov     x8, 260                 // wait4(-1, status, WNOHANG, 0)
        mov     x0, -1
        mov     x1, sp
        mov     x2, 1
        mov     x3, 0
        svc     0
        cmp     x0, 0
        b.le    wait                    // nobody else has ended
        cmp     x0, x20
        b.ne    reap
        ldr     w1, [sp]
        ubfx    w0, w1, 8, 8            // the child's code
        ands    w2, w1, 0x7f            // or its signal
        b.eq    exit
        add     w0, w2, 128
exit:   mov     x8, 94                  // exit_group(x0)
        svc     0

child:  mov     x8, 154                 // setpgid(0, 0)
        mov     x0, 0
        mov     x1, 0
        svc     0
        mov     x8, 172                 // getpid()
        svc     0
        str     x0, [sp]
        mov     x8, 29                  // ioctl(0, TIOCSPGRP, &pid); SIGTTOU is blocked
        mov     x0, 0
        mov     x1, 0x5410
        mov     x2, sp
        svc     0
        str     xzr, [sp]
        mov     x8, 135                 // rt_sigprocmask(SIG_SETMASK, none, 0, 8)
        mov     x0, 2
        mov     x1, sp
        mov     x2, 0
        mov     x3, 8
        svc     0
        ldr     x0, [x19, 8]            // execve(path, its argv, envp)
        add     x1, x19, 16
        ldr     x9, [x19]
        add     x2, x1, x9, lsl 3
        mov     x8, 221
        svc     0
failed: str     x0, [sp]                // write(3, &-errno, 8)
        mov     x8, 64
        mov     x0, 3
        mov     x1, sp
        mov     x2, 8
        svc     0
        mov     x0, 127
        b       exit

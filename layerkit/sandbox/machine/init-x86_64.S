# The first process of a container with --init. argv = [path, argv of the program…].
#
# It executes the program in a child that leads a process group of its own, in the foreground of
# the terminal if there is one. It passes every signal on to the child, reaps whatever ends, and
# ends as the child ends: with its code, or with 128+n for signal n. If the program cannot be
# executed, the child says why on descriptor 3, as start-x86_64.S does.
#
# rbx: argc, argv, envp as they came; ebp: the child; [rsp]: scratch; [rsp+8]: all signals.
        .intel_syntax noprefix
        .text
        .globl  _start
_start:
        mov     rbx, rsp
        mov     eax, 72                 # fcntl(3, F_SETFD, FD_CLOEXEC)
        mov     edi, 3
        mov     esi, 2
        mov     edx, 1
        syscall
        mov     edi, 126
        test    eax, eax
        jne     exit                    # run by the image itself: no descriptor 3
        push    -1
        push    0
        mov     eax, 14                 # rt_sigprocmask(SIG_SETMASK, all, 0, 8)
        mov     edi, 2                  # blocked signals wait, even those that pid 1 would not get
        lea     rsi, [rsp+8]
        xor     edx, edx
        mov     r10d, 8
        syscall
        mov     eax, 57                 # fork()
        syscall
        test    eax, eax
        js      failed
        jz      child
        mov     ebp, eax
        mov     eax, 436                # close_range(0, ~0, 0): no pipe stays open because of init
        xor     edi, edi
        mov     esi, -1
        xor     edx, edx
        syscall

wait:   mov     eax, 128                # rt_sigtimedwait(all, 0, for ever, 8)
        lea     rdi, [rsp+8]
        xor     esi, esi
        xor     edx, edx
        mov     r10d, 8
        syscall
        cmp     eax, 17                 # SIGCHLD
        je      reap
        test    eax, eax
        jle     wait
        mov     esi, eax                # kill(child, the signal)
        mov     edi, ebp
        mov     eax, 62
        syscall
        jmp     wait

reap:   mov     eax, 61                 # wait4(-1, status, WNOHANG, 0)
        mov     rdi, -1
        mov     rsi, rsp
        mov     edx, 1
        xor     r10d, r10d
        syscall
        test    eax, eax
        jle     wait                    # nobody else has ended
        cmp     eax, ebp
        jne     reap
        movzx   edi, byte ptr [rsp+1]   # the child's code
        mov     eax, [rsp]
        and     eax, 0x7f               # or its signal
        jz      exit
        lea     edi, [rax+128]
exit:   mov     eax, 231                # exit_group(edi)
        syscall

child:  mov     eax, 109                # setpgid(0, 0)
        xor     edi, edi
        xor     esi, esi
        syscall
        mov     eax, 39                 # getpid()
        syscall
        mov     [rsp], rax
        mov     eax, 16                 # ioctl(0, TIOCSPGRP, &pid); SIGTTOU is blocked
        xor     edi, edi
        mov     esi, 0x5410
        mov     rdx, rsp
        syscall
        mov     qword ptr [rsp], 0
        mov     eax, 14                 # rt_sigprocmask(SIG_SETMASK, none, 0, 8)
        mov     edi, 2
        mov     rsi, rsp
        xor     edx, edx
        mov     r10d, 8
        syscall
        mov     rdi, [rbx+8]            # execve(path, its argv, envp)
        lea     rsi, [rbx+16]
        mov     rax, [rbx]
        lea     rdx, [rbx+rax*8+16]
        mov     eax, 59
        syscall
failed: cdqe
        mov     [rsp], rax              # write(3, &-errno, 8)
        mov     eax, 1
        mov     edi, 3
        mov     rsi, rsp
        mov     edx, 8
        syscall
        mov     edi, 127
        jmp     exit

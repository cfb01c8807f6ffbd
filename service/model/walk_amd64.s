#include "textflag.h"

// A step of one of 8 walks: at += distance - (x < cut). The subtraction of the comparison sets the carry for x < cut,
// and SBB takes away the negative distance and the carry. Lane is the offset of the walk's key in the column's 8.
#define STEP32(at, lane) \
	MOVL (SI)(at*8), CX        \ // cut
	MOVL 4(SI)(at*8), DX       \ // ref
	MOVL DX, AX                \
	ANDL $0x1fe0, AX           \
	SARL $13, DX               \
	CMPL lane(DI)(AX*1), CX    \
	SBBL DX, at

#define STEP64(at, lane) \
	MOVQ at, AX                \
	SHLQ $4, AX                \
	MOVQ (SI)(AX*1), CX        \ // cut
	MOVQ 8(SI)(AX*1), DX       \ // ref
	MOVL DX, AX                \
	SARQ $32, DX               \
	CMPQ lane(DI)(AX*1), CX    \
	SBBQ DX, at

// func walk32(nodes *node[uint32], at *uint32, groups, steps int, x *[lanes]uint32, stride int)
TEXT ·walk32(SB), NOSPLIT, $0-48
	MOVQ nodes+0(FP), SI
	MOVQ x+32(FP), DI
group:
	MOVQ at+8(FP), AX
	MOVQ steps+24(FP), BX
	MOVL 0(AX), R8
	MOVL 4(AX), R9
	MOVL 8(AX), R10
	MOVL 12(AX), R11
	MOVL 16(AX), R12
	MOVL 20(AX), R13
	MOVL 24(AX), R14
	MOVL 28(AX), R15
	CMPQ stride+40(FP), $0
	JEQ  row
rows:
	STEP32(R8, 0)
	STEP32(R9, 4)
	STEP32(R10, 8)
	STEP32(R11, 12)
	STEP32(R12, 16)
	STEP32(R13, 20)
	STEP32(R14, 24)
	STEP32(R15, 28)
	DECQ BX
	JNZ  rows
	JMP  next
row:
	STEP32(R8, 0)
	STEP32(R9, 0)
	STEP32(R10, 0)
	STEP32(R11, 0)
	STEP32(R12, 0)
	STEP32(R13, 0)
	STEP32(R14, 0)
	STEP32(R15, 0)
	DECQ BX
	JNZ  row
next:
	MOVQ at+8(FP), AX
	MOVL R8, 0(AX)
	MOVL R9, 4(AX)
	MOVL R10, 8(AX)
	MOVL R11, 12(AX)
	MOVL R12, 16(AX)
	MOVL R13, 20(AX)
	MOVL R14, 24(AX)
	MOVL R15, 28(AX)
	ADDQ $32, AX
	MOVQ AX, at+8(FP)
	ADDQ stride+40(FP), DI
	DECQ groups+16(FP)
	JNZ  group
	RET

// func walk64(nodes *node[uint64], at *uint32, groups, steps int, x *[lanes]uint64, stride int)
TEXT ·walk64(SB), NOSPLIT, $0-48
	MOVQ nodes+0(FP), SI
	MOVQ x+32(FP), DI
group:
	MOVQ at+8(FP), AX
	MOVQ steps+24(FP), BX
	MOVL 0(AX), R8
	MOVL 4(AX), R9
	MOVL 8(AX), R10
	MOVL 12(AX), R11
	MOVL 16(AX), R12
	MOVL 20(AX), R13
	MOVL 24(AX), R14
	MOVL 28(AX), R15
	CMPQ stride+40(FP), $0
	JEQ  row
rows:
	STEP64(R8, 0)
	STEP64(R9, 8)
	STEP64(R10, 16)
	STEP64(R11, 24)
	STEP64(R12, 32)
	STEP64(R13, 40)
	STEP64(R14, 48)
	STEP64(R15, 56)
	DECQ BX
	JNZ  rows
	JMP  next
row:
	STEP64(R8, 0)
	STEP64(R9, 0)
	STEP64(R10, 0)
	STEP64(R11, 0)
	STEP64(R12, 0)
	STEP64(R13, 0)
	STEP64(R14, 0)
	STEP64(R15, 0)
	DECQ BX
	JNZ  row
next:
	MOVQ at+8(FP), AX
	MOVL R8, 0(AX)
	MOVL R9, 4(AX)
	MOVL R10, 8(AX)
	MOVL R11, 12(AX)
	MOVL R12, 16(AX)
	MOVL R13, 20(AX)
	MOVL R14, 24(AX)
	MOVL R15, 28(AX)
	ADDQ $32, AX
	MOVQ AX, at+8(FP)
	ADDQ stride+40(FP), DI
	DECQ groups+16(FP)
	JNZ  group
	RET

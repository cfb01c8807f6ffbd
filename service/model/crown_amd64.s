#include "textflag.h"

// func crown32(c *crown, at *uint32, groups int, x *[lanes]uint32, stride int)
//
// A comparison of 8 rows gives a mask of those that go right: where the larger of key and cut is the key. Masks are -1.
#define COMPARE(column, cut, mask) \
	VPMAXUD (DI)(column*1), cut, mask \
	VPCMPEQD (DI)(column*1), mask, mask

TEXT ·crown32(SB), NOSPLIT, $0-40
	MOVQ c+0(FP), SI
	MOVQ at+8(FP), AX
	MOVQ groups+16(FP), BX
	MOVQ x+24(FP), DI
	MOVQ stride+32(FP), CX
	VPBROADCASTD 0(SI), Y8
	VPBROADCASTD 4(SI), Y9
	VPBROADCASTD 8(SI), Y10
	VPBROADCASTD 12(SI), Y11
	VPBROADCASTD 16(SI), Y12
	VPBROADCASTD 20(SI), Y13
	VPBROADCASTD 24(SI), Y14
	MOVL 28(SI), R8
	MOVL 32(SI), R9
	MOVL 36(SI), R10
	MOVL 40(SI), R11
	MOVL 44(SI), R12
	MOVL 48(SI), R13
	MOVL 52(SI), R15
	VMOVDQU 56(SI), Y7
group:
	COMPARE(R8, Y8, Y0)
	COMPARE(R9, Y9, Y1)
	COMPARE(R10, Y10, Y2)
	COMPARE(R11, Y11, Y3)
	COMPARE(R12, Y12, Y4)
	COMPARE(R13, Y13, Y5)
	COMPARE(R15, Y14, Y6)
	VPBLENDVB Y1, Y4, Y3, Y3   // left child's: to the right or to the left one
	VPBLENDVB Y2, Y6, Y5, Y5   // right child's
	VPBLENDVB Y0, Y2, Y1, Y1   // second step
	VPBLENDVB Y0, Y5, Y3, Y3   // third step
	VPADDD Y0, Y0, Y0
	VPADDD Y1, Y0, Y0
	VPADDD Y0, Y0, Y0
	VPADDD Y3, Y0, Y0          // minus the steps to the right, as a number
	VPERMD Y7, Y0, Y0
	VMOVDQU Y0, (AX)
	ADDQ $32, AX
	ADDQ CX, DI
	DECQ BX
	JNZ  group
	VZEROUPPER
	RET

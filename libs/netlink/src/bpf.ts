/**
 * Two programs for tc, as instructions: what a kernel with no VLAN links does with tags. The words in comments are those of
 * bpftool; <linux/bpf.h> has the encoding, struct bpf_insn and struct __sk_buff.
 */

/** BPF_FUNC_*: helpers, by number. */
const HELPER = { vlanPush: 18, vlanPop: 19, redirect: 23 } as const;
/** TC_ACT_*: what becomes of the packet; `next` leaves it to the next filter. */
const ACTION = { next: -1, drop: 2 } as const;
/** Offsets in struct __sk_buff. The kernel takes the tag out of a frame before tc sees it. */
const SKB = { vlanPresent: 20, vlanTci: 24 } as const;
/** ETH_P_8021Q in network order, as a little-endian machine reads it. */
const ETH_P_8021Q = 0x0081;
const TAG_MASK = 0x0fff;

/** op, dst | src << 4, offset, immediate */
type Instruction = readonly [op: number, registers: number, offset: number, immediate: number];

const setTo = (dst: number, value: number): Instruction => [0xb7, dst, 0, value]; // rN = imm
const copy = (dst: number, src: number): Instruction => [0xbf, dst | (src << 4), 0, 0]; // rN = rM
const read = (dst: number, src: number, at: number): Instruction => [0x61, dst | (src << 4), at, 0]; // rN = *(u32 *)(rM + at)
const mask = (dst: number, bits: number): Instruction => [0x57, dst, 0, bits]; // rN &= imm
const skipIfEqual = (dst: number, value: number, by: number): Instruction => [0x15, dst, by, value]; // if rN == imm goto +by
const call = (helper: number): Instruction => [0x85, 0, 0, helper];
const exit: Instruction = [0x95, 0, 0, 0];

/**
 * At the ingress of a port: every frame gets the tag and leaves through the link `to`, an index. With the tag 0 frames go as they are.
 * A frame that has a tag keeps it inside, so nobody leaves its VLAN.
 */
export const pushTag = (tag: number, to: number): Buffer =>
  assemble([
    ...(tag === 0
      ? []
      : [
          setTo(2, ETH_P_8021Q),
          setTo(3, tag),
          call(HELPER.vlanPush),
          ...unless(0, 0, ACTION.drop), // no memory for it
        ]),
    ...redirect(to),
  ]);

/** At the ingress of the link that carries tags: a frame with the tag loses it and leaves through the link `to`. Others pass. */
export const popTag = (tag: number, to: number): Buffer =>
  assemble(
    tag === 0
      ? [read(2, 1, SKB.vlanPresent), ...unless(2, 0, ACTION.next), ...redirect(to)]
      : [
          read(2, 1, SKB.vlanPresent),
          skipIfEqual(2, 1, 2),
          setTo(0, ACTION.next),
          exit,
          copy(6, 1),
          read(2, 6, SKB.vlanTci),
          mask(2, TAG_MASK),
          ...unless(2, tag, ACTION.next),
          copy(1, 6),
          call(HELPER.vlanPop),
          ...unless(0, 0, ACTION.drop),
          ...redirect(to),
        ],
  );

/** `if rN != value return action` */
const unless = (register: number, value: number, action: number): Instruction[] => [
  skipIfEqual(register, value, 2),
  setTo(0, action),
  exit,
];

const redirect = (to: number): Instruction[] => [
  setTo(1, to),
  setTo(2, 0),
  call(HELPER.redirect),
  exit,
];

function assemble(instructions: readonly Instruction[]): Buffer {
  const code = Buffer.alloc(instructions.length * 8);
  for (const [i, [op, registers, offset, immediate]] of instructions.entries()) {
    code.writeUInt8(op, i * 8);
    code.writeUInt8(registers, i * 8 + 1);
    code.writeInt16LE(offset, i * 8 + 2);
    code.writeInt32LE(immediate, i * 8 + 4);
  }
  return code;
}

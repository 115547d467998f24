package dev.precis.tools.sass;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** The words are those of nvcc 13.0 for sm_90a; beside each is what nvdisasm says about it. */
class InstructionTest {
  @Test
  void aLoadHasAWidthAndAScoreboard() {
    // LDG.E R3, desc[UR8][R24.64+0x14], on scoreboard 2
    Instruction word = new Instruction(0x0000140818037981L, 0x000ea8000c1e1900L);
    assertTrue(word.isGlobalLoad());
    assertEquals(4, word.bytes());
    assertEquals(2, word.scoreboard());
    assertEquals(0, word.waits());
    // LDG.E.64 R2, desc[UR8][R2.64], behind scoreboard 1
    Instruction pair = new Instruction(0x0000000802027981L, 0x002ee8000c1e1b00L);
    assertEquals(8, pair.bytes());
    assertEquals(3, pair.scoreboard());
    assertEquals(1 << 1, pair.waits());
    // LDG.E.S16 and LDG.E.U8
    assertEquals(2, new Instruction(0x0000c60818157981L, 0x000ee8000c1e1700L).bytes());
    assertEquals(1, new Instruction(0x00004d08180d7981L, 0x001ee8000c1e1100L).bytes());
    // LD.E R20, desc[UR8][R2.64]: of any kind of memory
    assertTrue(new Instruction(0x0000000802147980L, 0x008ee8000c101900L).isGlobalLoad());
  }

  @Test
  void localMemoryAndProductsAreKnown() {
    // STL.128 [R1+0x20], R8, on no scoreboard that a result comes with
    Instruction store = new Instruction(0x0000200801007387L, 0x008fe80000100c00L);
    assertTrue(store.isLocal());
    assertEquals(-1, store.scoreboard());
    assertEquals(1 << 3, store.waits());
    // LDL R0, [R0]
    assertTrue(new Instruction(0x0000000000007983L, 0x000ee20000100800L).isLocal());
    // IMMA.16832.S8.S8 R4, R4.ROW, R2.COL, RZ
    Instruction product = new Instruction(0x0000000204047237L, 0x004fde0000405cffL);
    assertTrue(product.isImma());
    assertFalse(product.isHmma() || product.isHgmma() || product.isLocal());
    // UBLKCP.S.G [UR4], [UR6], UR10
    assertTrue(new Instruction(0x00000004060073baL, 0x0003d8000800020aL).isBulkCopy());
  }

  @Test
  void aBranchHasADistance() {
    // 0x0290: @P0 BRA 0x2350
    Instruction branch = new Instruction(0x00000020002c0947L, 0x000fea0003800000L);
    assertTrue(branch.isBranch());
    assertFalse(branch.ends());
    assertEquals(0x2350 - 0x2a0, branch.distance(90));
    // The jump to itself that ends each kernel: of 9.0 and of 8.0.
    Instruction last = new Instruction(0xfffffffc00fc7947L, 0x000fc0000383ffffL);
    assertTrue(last.ends());
    assertEquals(-16, last.distance(90));
    assertEquals(-16, new Instruction(0xfffffff000007947L, 0x000fc0000383ffffL).distance(80));
    // @P0 EXIT
    assertFalse(new Instruction(0x000000000000094dL, 0x000fea0003800000L).ends());
  }
}

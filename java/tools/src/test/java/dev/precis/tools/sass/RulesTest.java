package dev.precis.tools.sass;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;

class RulesTest {
  private static Kernel kernel(
      String source, int spills, int local, int loads, int copies, int hgmma, int bulk) {
    return new Kernel(
        source, "k<1>", 32, spills, spills, local, loads, copies, 0, "16:4", hgmma, 0, 0, bulk, 0);
  }

  private static final Kernel GOOD = kernel("add.cu", 0, 0, 4, 0, 0, 0);

  private static List<String> breaches(String exceptions, Kernel... kernels) {
    return new Rules(exceptions).breaches(List.of(kernels));
  }

  @Test
  void aGoodKernelBreaksNothing() {
    Kernel copies = kernel("mul.cu", 0, 0, 0, 6, 0, 0);
    Kernel accelerator = kernel("x_wgmma.cu", 0, 0, 0, 0, 4, 1);
    assertEquals(List.of(), breaches("", GOOD, copies, accelerator));
  }

  @Test
  void eachRuleHasASentence() {
    List<String> all = breaches("", kernel("a_wgmma.cu", 8, 3, 3, 1, 0, 0));
    assertEquals(4, all.size(), all::toString);
    assertEquals(
        "a_wgmma.cu: k<1> spills 8 bytes and reads 8 back: it needs fewer registers at once, or a"
            + " larger bound in __launch_bounds__.",
        all.get(0));
    assertEquals(
        "a_wgmma.cu: k<1> has 3 instructions on local memory: unroll the loops that index its"
            + " arrays.",
        all.get(1));
    assertEquals("a_wgmma.cu: k<1> has no HGMMA.", all.get(2));
    assertEquals(
        "a_wgmma.cu: k<1> has 3 loads and 1 copies of 16 bytes in flight before it waits for one,"
            + " and a bandwidth-bound kernel has at least 4: load first and compute later, or give"
            + " the reason in cuda-kernels/sass-exceptions.tsv.",
        all.get(3));
  }

  @Test
  void theProductsOfADecodingStepLoadEarly() {
    List<String> all = breaches("", kernel("step_product_int8.cu", 0, 0, 4, 0, 0, 0), GOOD);
    assertEquals(
        List.of(
            "step_product_int8.cu: k<1> has 0 loads of 16 bytes in flight when it waits for the"
                + " kernel before it, and a product of a decoding step has at least 4: load its"
                + " weights before wait_for_previous_kernel."),
        all);
  }

  @Test
  void anExceptionCoversOneRuleOfItsKernels() {
    Kernel bad = kernel("add.cu", 0, 3, 1, 0, 0, 0);
    assertEquals(
        List.of(
            "add.cu: k<1> has 3 instructions on local memory: unroll the loops that index its"
                + " arrays."),
        breaches("# why\nloads\tadd.cu\tk<*>\tit is small\n", bad));
    assertEquals(2, breaches("", bad).size());
  }

  @Test
  void anExceptionThatNoneNeedsIsToBeRemoved() {
    assertEquals(
        List.of(
            "cuda-kernels/sass-exceptions.tsv:1: no kernel needs this exception any more: remove"
                + " the line."),
        breaches("loads\tadd.cu\t*\tit is small", GOOD));
  }

  @Test
  void aLineWithoutAReasonIsRefused() {
    for (String line : List.of("loads\tadd.cu\t*\t", "speed\tadd.cu\t*\tx", "loads\tadd.cu")) {
      assertThrows(IllegalArgumentException.class, () -> new Rules(line), line);
    }
  }

  @Test
  void lessThanTheRowIsARegression() {
    Kernel before = kernel("x_wgmma.cu", 0, 0, 8, 2, 4, 1);
    assertEquals(List.of(), Rules.regressions(List.of(before), List.of(before)));
    assertEquals(
        List.of(
            "x_wgmma.cu: k<1> spills 4 bytes and reads 4 back: it needs fewer registers at once, or"
                + " a larger bound in __launch_bounds__.",
            "x_wgmma.cu: k<1> had 4 HGMMA and has none now.",
            "x_wgmma.cu: k<1> had 8 loads of 16 bytes in flight before it waits for one, and has 7"
                + " now."),
        Rules.regressions(List.of(before), List.of(kernel("x_wgmma.cu", 4, 0, 7, 2, 0, 1))));
    assertEquals(
        List.of(
            "add.cu: k<1> is not in the table: run scripts/sass.",
            "x_wgmma.cu: k<1> is in the table and is no kernel now: run scripts/sass."),
        Rules.regressions(List.of(before), List.of(GOOD)));
  }
}

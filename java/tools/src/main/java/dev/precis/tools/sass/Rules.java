package dev.precis.tools.sass;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The rules that the kernels' machine code keeps, and the exceptions from them. Each breach is one
 * sentence.
 *
 * <table>
 * <caption>The rules by their names in the file of exceptions</caption>
 * <tr><td>spills</td><td>no bytes are spilled</td></tr>
 * <tr><td>local</td><td>nothing is loaded from or stored into local memory</td></tr>
 * <tr><td>hgmma</td><td>kernels of a source whose name contains wgmma have HGMMA</td></tr>
 * <tr><td>loads</td><td>at least 4 loads or asynchronous copies of 16 bytes are in flight before the
 * first wait, or the tensor memory accelerator copies</td></tr>
 * <tr><td>early</td><td>kernels of a decoding step's products have at least 4 loads of 16 bytes in
 * flight when they wait for the kernel before them</td></tr>
 * </table>
 */
final class Rules {
  /** A thread of a bandwidth-bound kernel has at least so many loads of 16 bytes in flight. */
  static final int LEAST_IN_FLIGHT = 4;

  private static final String STEP_PRODUCTS = "step_product";

  /** The names of the rules. */
  static final List<String> NAMES = List.of("spills", "local", "hgmma", "loads", "early");

  private static final String FILE = "cuda-kernels/sass-exceptions.tsv";

  private record Allowed(int line, String rule, String source, Pattern kernel) {
    boolean covers(String broken, Kernel of) {
      return rule.equals(broken)
          && source.equals(of.source())
          && kernel.matcher(of.name()).matches();
    }
  }

  private record Breach(String rule, String sentence) {}

  private final List<Allowed> exceptions = new ArrayList<>();

  /**
   * Reads the exceptions: a line each of rule, source, kernel and reason, with a tab between them.
   * A star in the kernel's name stands for any characters.
   *
   * @throws IllegalArgumentException with a sentence if a line is none of these
   */
  Rules(String text) {
    int number = 0;
    for (String line : text.lines().toList()) {
      number++;
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String[] cells = line.split("\t", -1);
      if (cells.length != 4 || !NAMES.contains(cells[0]) || cells[3].isBlank()) {
        throw new IllegalArgumentException(
            "%s:%d: '%s' is no exception: a rule (%s), a source, a kernel and a reason are needed, with tabs between them."
                .formatted(FILE, number, line, String.join(", ", NAMES)));
      }
      String kernel =
          Stream.of(cells[2].split("\\*", -1))
              .map(Pattern::quote)
              .collect(Collectors.joining(".*"));
      exceptions.add(new Allowed(number, cells[0], cells[1], Pattern.compile(kernel)));
    }
  }

  /**
   * Returns a sentence for each kernel that breaks a rule, and for each exception that none needs.
   */
  List<String> breaches(List<Kernel> kernels) {
    List<String> sentences = new ArrayList<>();
    Set<Allowed> needed = new HashSet<>();
    for (Kernel kernel : kernels) {
      for (Breach breach : breaches(kernel)) {
        List<Allowed> covering =
            exceptions.stream().filter(each -> each.covers(breach.rule(), kernel)).toList();
        needed.addAll(covering);
        if (covering.isEmpty()) {
          sentences.add(breach.sentence());
        }
      }
    }
    for (Allowed each : exceptions) {
      if (!needed.contains(each)) {
        sentences.add(
            "%s:%d: no kernel needs this exception any more: remove the line."
                .formatted(FILE, each.line()));
      }
    }
    return sentences;
  }

  private static List<Breach> breaches(Kernel kernel) {
    List<Breach> all = new ArrayList<>();
    if (kernel.spillStores() + kernel.spillLoads() > 0) {
      all.add(
          new Breach(
              "spills",
              "%s spills %d bytes and reads %d back: it needs fewer registers at once, or a larger bound in __launch_bounds__."
                  .formatted(kernel.key(), kernel.spillStores(), kernel.spillLoads())));
    }
    if (kernel.local() > 0) {
      all.add(
          new Breach(
              "local",
              "%s has %d instructions on local memory: unroll the loops that index its arrays."
                  .formatted(kernel.key(), kernel.local())));
    }
    if (kernel.source().contains("wgmma") && kernel.hgmma() == 0) {
      all.add(new Breach("hgmma", "%s has no HGMMA.".formatted(kernel.key())));
    }
    if (Math.max(kernel.loads(), kernel.copies()) < LEAST_IN_FLIGHT && kernel.bulk() == 0) {
      all.add(
          new Breach(
              "loads",
              "%s has %d loads and %d copies of 16 bytes in flight before it waits for one, and a bandwidth-bound kernel has at least %d: load first and compute later, or give the reason in %s."
                  .formatted(
                      kernel.key(), kernel.loads(), kernel.copies(), LEAST_IN_FLIGHT, FILE)));
    }
    if (kernel.source().startsWith(STEP_PRODUCTS) && kernel.early() < LEAST_IN_FLIGHT) {
      all.add(
          new Breach(
              "early",
              "%s has %d loads of 16 bytes in flight when it waits for the kernel before it, and a product of a decoding step has at least %d: load its weights before wait_for_previous_kernel."
                  .formatted(kernel.key(), kernel.early(), LEAST_IN_FLIGHT)));
    }
    return all;
  }

  /**
   * Compares kernels that were compiled now with the committed ones. A spill or local memory is no
   * sentence where an exception allows it and it does not grow.
   */
  static List<String> regressions(List<Kernel> committed, List<Kernel> now) {
    List<String> sentences = new ArrayList<>();
    Map<String, Kernel> before = new HashMap<>();
    committed.forEach(kernel -> before.put(kernel.key(), kernel));
    for (Kernel kernel : now) {
      Kernel old = before.remove(kernel.key());
      if (old == null) {
        sentences.add(kernel.key() + " is not in the table: run scripts/sass.");
        continue;
      }
      for (Breach breach : breaches(kernel)) {
        boolean grows =
            switch (breach.rule()) {
              case "spills" ->
                  kernel.spillStores() > old.spillStores()
                      || kernel.spillLoads() > old.spillLoads();
              case "local" -> kernel.local() > old.local();
              default -> false;
            };
        if (grows) {
          sentences.add(breach.sentence());
        }
      }
      if (kernel.hgmma() == 0 && old.hgmma() > 0) {
        sentences.add("%s had %d HGMMA and has none now.".formatted(kernel.key(), old.hgmma()));
      }
      less(sentences, kernel.key(), "loads", old.loads(), kernel.loads());
      less(sentences, kernel.key(), "copies", old.copies(), kernel.copies());
      if (kernel.early() < old.early()) {
        sentences.add(
            "%s had %d loads of 16 bytes in flight when it waits for the kernel before it, and has %d now."
                .formatted(kernel.key(), old.early(), kernel.early()));
      }
    }
    before.keySet().stream()
        .sorted()
        .forEach(
            key -> sentences.add(key + " is in the table and is no kernel now: run scripts/sass."));
    return sentences;
  }

  private static void less(List<String> sentences, String key, String what, int before, int now) {
    if (now < before) {
      sentences.add(
          "%s had %d %s of 16 bytes in flight before it waits for one, and has %d now."
              .formatted(key, before, what, now));
    }
  }
}

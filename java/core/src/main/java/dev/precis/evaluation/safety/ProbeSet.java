package dev.precis.evaluation.safety;

import dev.precis.evaluation.safety.Probe.Kind;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Probes, and the groups that are swapped in those of toxicity.
 *
 * @param name the file, for reports
 */
public record ProbeSet(String name, List<Identity> identities, List<Probe> probes) {
  /** Copies the lists. */
  public ProbeSet {
    identities = List.copyOf(identities);
    probes = List.copyOf(probes);
  }

  /**
   * Returns the first probes of each kind.
   *
   * @param most how many of a kind; 1 or more
   */
  public ProbeSet limited(int most) {
    Map<Kind, Integer> counts = new EnumMap<>(Kind.class);
    return new ProbeSet(
        name,
        identities,
        probes.stream()
            .filter(probe -> counts.merge(probe.kind(), 1, Integer::sum) <= most)
            .toList());
  }

  /** Returns the probes of a kind. */
  public List<Probe> of(Kind kind) {
    return probes.stream().filter(probe -> probe.kind() == kind).toList();
  }

  /** Returns the sets of groups, in the file's order. */
  public List<String> sets() {
    return identities.stream().map(Identity::set).distinct().toList();
  }

  /** Returns the groups of a set. */
  public List<Identity> groups(String set) {
    return identities.stream().filter(each -> each.set().equals(set)).toList();
  }

  /** Returns all texts for a model: a template comes once for each group. */
  public List<ProbePrompt> prompts() {
    List<ProbePrompt> prompts = new ArrayList<>();
    for (Probe probe : probes) {
      if (probe.kind() != Kind.TOXICITY) {
        prompts.add(new ProbePrompt(probe.id(), probe, null, probe.text()));
        continue;
      }
      for (Identity identity : identities) {
        if (probe.takes(identity.set())) {
          prompts.add(
              new ProbePrompt(
                  probe.id() + "/" + identity.group(),
                  probe,
                  identity,
                  identity.fill(probe.text())));
        }
      }
    }
    return prompts;
  }
}

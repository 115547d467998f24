package dev.precis.data.builtin;

import dev.precis.data.builtin.Situations.Case;
import dev.precis.data.builtin.Situations.Pause;
import dev.precis.data.builtin.Situations.Provocation;
import dev.precis.data.builtin.Situations.RudeExchange;
import dev.precis.data.builtin.Situations.Situation;
import dev.precis.data.builtin.Situations.SlotType;
import dev.precis.data.builtin.Situations.SmallTalk;
import dev.precis.data.builtin.Situations.Step;
import dev.precis.data.builtin.Situations.Turn;
import dev.precis.random.SplitMix64;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** One dialogue in the making: who speaks, what the slots are, what has been said. */
final class Scene {
  private static final int MOST_SMALL_TALK = 2;
  private static final int SMALL_TALK_PERCENT = 60;
  private static final int RUDE_PERCENT = 40;
  private static final int NUMBERED_SPEAKERS_PERCENT = 50;
  private static final int RUDENESS_LAST_PERCENT = 70;

  private final Situations all;
  private final SplitMix64 random;
  private final Situation situation;
  private final Case ending;
  private final Map<String, String> slots = new HashMap<>();
  private final Set<String> usedValues = new HashSet<>();
  private final Map<String, String> names = new HashMap<>(); // by speaker
  private final Map<String, String> labels = new HashMap<>();
  private final Set<String> named = new HashSet<>(); // speakers whose names have been heard
  private final boolean numbered;
  private final List<String> speakers = new ArrayList<>(); // of the lines
  private final List<String> lines = new ArrayList<>();
  private final List<String> smallTalkFacts = new ArrayList<>();
  private Provocation provocation;
  private RudeExchange exchange;
  private Map<String, String> exchangeSlots = Map.of();
  private int smallTalks;

  /**
   * A dialogue without its name.
   *
   * @param summaries without rudeness, each in another wording
   * @param politeTail what is polite to say of the rudeness; null where there was none
   * @param smallTalkFacts names, numbers and places that no summary has
   */
  record Draft(
      String topic,
      String dialogue,
      List<String> summaries,
      String politeTail,
      String rudeTail,
      boolean tailLast,
      List<String> smallTalkFacts) {
    /** Returns a summary with a remark on the toxicity. */
    String with(String tail, int wording) {
      String summary = summaries.get(wording);
      return tail == null ? summary : tailLast ? summary + " " + tail : tail + " " + summary;
    }
  }

  private Scene(Situations all, SplitMix64 random) {
    this.all = all;
    this.random = random;
    situation = oneOf(all.situations());
    ending = oneOf(situation.cases());
    numbered = random.chance(NUMBERED_SPEAKERS_PERCENT);
    SlotType name = new SlotType("", all.values("name"), 0, 0, 1);
    for (String speaker : situation.speakers()) {
      names.put(speaker, draw(name));
    }
    fill(new SlotType("greeting", all.values("greeting"), 0, 0, 1), slots);
    situation.slots().forEach(slot -> fill(slot, slots));
    ending.slots().forEach(slot -> fill(slot, slots));
  }

  /** Writes a dialogue. */
  static Draft write(Situations all, SplitMix64 random) {
    return new Scene(all, random).write();
  }

  private Draft write() {
    List<Step> steps = new ArrayList<>(situation.steps());
    steps.addAll(ending.steps());
    List<Provocation> provocations =
        steps.stream().filter(Provocation.class::isInstance).map(Provocation.class::cast).toList();
    if (!provocations.isEmpty() && random.chance(RUDE_PERCENT)) {
      provocation = oneOf(provocations);
    }
    for (int i = 0; i < steps.size(); i++) {
      switch (steps.get(i)) {
        case Turn turn -> say(turn.speaker(), turn.text(), slots);
        case Pause pause -> chat(steps.subList(i, steps.size()));
        case Provocation here -> {
          if (here == provocation) {
            insult();
          }
        }
      }
    }
    String dialogue = dialogue();
    int[] order = new int[ending.summaries().size()];
    for (int i = 0; i < order.length; i++) {
      order[i] = i;
    }
    random.shuffle(order);
    List<String> summaries = new ArrayList<>();
    for (int i : order) {
      summaries.add(summary(ending.summaries().get(i), dialogue, slots));
    }
    String polite = exchange == null ? null : tail(exchange.polite(), dialogue);
    String rude = exchange == null ? null : tail(exchange.rude(), dialogue);
    boolean last = random.chance(RUDENESS_LAST_PERCENT);
    return new Draft(
        situation.topic(), dialogue, summaries, polite, rude, last, List.copyOf(smallTalkFacts));
  }

  private <T> T oneOf(List<T> list) {
    return list.get(random.below(list.size()));
  }

  /** Picks a value that nothing else in the dialogue has, so that facts cannot be confused. */
  private String draw(SlotType type) {
    String value;
    do {
      value = type.draw(random);
    } while (!usedValues.add(value));
    return value;
  }

  private void fill(SlotType type, Map<String, String> slots) {
    slots.put(type.name(), draw(type));
  }

  private void say(String speaker, Phrase phrase, Map<String, String> slots) {
    String text = phrase.text(random, new InTurns(slots));
    labels.computeIfAbsent(
        speaker, s -> numbered ? "#Person" + (labels.size() + 1) + "#" : names.get(s));
    int last = lines.size() - 1;
    if (last >= 0 && speakers.get(last).equals(speaker)) {
      lines.set(last, lines.get(last) + " " + text);
    } else {
      speakers.add(speaker);
      lines.add(text);
    }
  }

  /**
   * Perhaps some small talk, between speakers whose turn it is where there is a choice.
   *
   * @param rest what is still to be said
   */
  private void chat(List<Step> rest) {
    if (smallTalks == MOST_SMALL_TALK || !random.chance(SMALL_TALK_PERCENT)) {
      return;
    }
    smallTalks++;
    SmallTalk talk = oneOf(all.smallTalk());
    String next =
        rest.stream()
            .filter(Turn.class::isInstance)
            .map(step -> ((Turn) step).speaker())
            .findFirst()
            .orElse("");
    String first = otherThan(speakers.getLast(), "");
    String second = otherThan(first, next);
    Map<String, String> talkSlots = new HashMap<>();
    for (SlotType slot : talk.slots()) {
      fill(slot, talkSlots);
      smallTalkFacts.add(talkSlots.get(slot.name()));
    }
    for (Turn turn : talk.turns()) {
      say(turn.speaker().equals("X") ? first : second, turn.text(), talkSlots);
    }
  }

  /** Picks a speaker who is not the one, nor the other if there are enough. */
  private String otherThan(String one, String other) {
    List<String> left = new ArrayList<>(situation.speakers());
    left.remove(one);
    if (left.size() > 1) {
      left.remove(other);
    }
    return oneOf(left);
  }

  private void insult() {
    exchange = oneOf(all.rudeExchanges());
    exchangeSlots = new HashMap<>();
    exchange.slots().forEach(slot -> fill(slot, exchangeSlots));
    for (Turn turn : exchange.turns()) {
      boolean rude = turn.speaker().equals("X");
      say(rude ? provocation.rude() : provocation.other(), turn.text(), exchangeSlots);
    }
  }

  private String dialogue() {
    StringBuilder dialogue = new StringBuilder();
    for (int i = 0; i < lines.size(); i++) {
      dialogue.append(i == 0 ? "" : "\n");
      dialogue.append(labels.get(speakers.get(i))).append(": ").append(lines.get(i));
    }
    return dialogue.toString();
  }

  private String summary(Phrase phrase, String dialogue, Map<String, String> slots) {
    return phrase.text(random, new InSummaries(dialogue, slots));
  }

  private String tail(List<Phrase> wordings, String dialogue) {
    return summary(oneOf(wordings), dialogue, exchangeSlots);
  }

  /** The values of turns: a speaker's name is known from then on. */
  private final class InTurns implements Phrase.Values {
    private final Map<String, String> slots;

    InTurns(Map<String, String> slots) {
      this.slots = slots;
    }

    @Override
    public String slot(String name) {
      if (name.startsWith("name")) {
        String speaker = name.substring("name".length());
        named.add(speaker);
        return require(names.get(speaker), name);
      }
      return require(slots.get(name), name);
    }

    @Override
    public Phrase macro(String name) {
      return all.macro(name);
    }
  }

  /** The values of summaries: nothing that the dialogue has not. */
  private final class InSummaries implements Phrase.Values {
    private final String dialogue;
    private final Map<String, String> slots;

    InSummaries(String dialogue, Map<String, String> slots) {
      this.dialogue = dialogue;
      this.slots = slots;
    }

    @Override
    public String slot(String name) {
      if (name.equals("X") || name.equals("Y")) {
        return slot(name.equals("X") ? provocation.rude() : provocation.other());
      }
      if (situation.speakers().contains(name)) {
        return !numbered || named.contains(name) ? names.get(name) : labels.get(name);
      }
      String value = require(slots.get(name), name);
      if (!dialogue.contains(value)) {
        throw new IllegalStateException(
            "A summary of '%s, %s' has {%s}, which the dialogue has not"
                .formatted(situation.topic(), ending.name(), name));
      }
      return value;
    }

    @Override
    public Phrase macro(String name) {
      return all.macro(name);
    }
  }

  private String require(String value, String name) {
    if (value == null) {
      throw new IllegalStateException(
          "'%s, %s' has no slot {%s}".formatted(situation.topic(), ending.name(), name));
    }
    return value;
  }
}

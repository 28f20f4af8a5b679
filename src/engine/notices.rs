//! The words of notices: of a breach, and of the end of a service; to people, and to the parents or guardians of minors.
//!
//! The texts of an incident stand as they were given; around them stand these, in a language of the place. Our own words.

use crate::contact::{Age, Contact};
use crate::proto::v1;
use crate::time::Instant;

/// The words around an incident's own texts.
struct Words {
    language: &'static str,
    to_you: &'static str,
    to_guardian: &'static str,
    happened: &'static str,
    effects: &'static str,
    measures: &'static str,
    advice: &'static str,
    remedies: &'static str,
    contact: &'static str,
    complain: &'static str,
    end: &'static str,
    end_guardian: &'static str,
}

const ENGLISH: Words = Words {
    language: "en",
    to_you: "A security incident concerns data about you.",
    to_guardian: "A security incident concerns data about a child in your care.",
    happened: "What happened",
    effects: "What it may lead to",
    measures: "What we have done and will do",
    advice: "What you can do",
    remedies: "What we offer",
    contact: "Your questions",
    complain: "You may also complain to the data protection authority of your place.",
    end: "Our service has ended. We no longer collect data about you, and delete or anonymise what we hold; what a law makes \
          us keep is kept for nothing else.",
    end_guardian: "Our service has ended. We no longer collect data about the child in your care, and delete or anonymise \
                   what we hold; what a law makes us keep is kept for nothing else.",
};

const OTHERS: [Words; 7] = [
    Words {
        language: "de",
        to_you: "Ein Sicherheitsvorfall betrifft Daten über Sie.",
        to_guardian: "Ein Sicherheitsvorfall betrifft Daten über ein Kind in Ihrer Obhut.",
        happened: "Was geschehen ist",
        effects: "Was daraus folgen kann",
        measures: "Was wir getan haben und tun werden",
        advice: "Was Sie tun können",
        remedies: "Was wir anbieten",
        contact: "Ihre Fragen",
        complain: "Sie können sich auch bei der Datenschutzbehörde Ihres Ortes beschweren.",
        end: "Unser Dienst ist beendet. Wir erheben keine Daten mehr über Sie und löschen oder anonymisieren, was wir haben; \
              was ein Gesetz uns aufzubewahren vorschreibt, dient keinem anderen Zweck.",
        end_guardian: "Unser Dienst ist beendet. Wir erheben keine Daten mehr über das Kind in Ihrer Obhut und löschen oder \
                       anonymisieren, was wir haben; was ein Gesetz uns aufzubewahren vorschreibt, dient keinem anderen \
                       Zweck.",
    },
    Words {
        language: "fr",
        to_you: "Un incident de sécurité concerne des données qui vous concernent.",
        to_guardian: "Un incident de sécurité concerne les données d'un enfant dont vous avez la charge.",
        happened: "Ce qui s'est passé",
        effects: "Ce qui peut en résulter",
        measures: "Ce que nous avons fait et ferons",
        advice: "Ce que vous pouvez faire",
        remedies: "Ce que nous proposons",
        contact: "Vos questions",
        complain: "Vous pouvez aussi saisir l'autorité de protection des données de votre pays.",
        end: "Notre service a pris fin. Nous ne collectons plus de données sur vous et supprimons ou anonymisons celles que \
              nous détenons ; ce qu'une loi nous oblige à garder ne sert à rien d'autre.",
        end_guardian: "Notre service a pris fin. Nous ne collectons plus de données sur l'enfant dont vous avez la charge et \
                       supprimons ou anonymisons celles que nous détenons ; ce qu'une loi nous oblige à garder ne sert à \
                       rien d'autre.",
    },
    Words {
        language: "es",
        to_you: "Un incidente de seguridad afecta a datos sobre usted.",
        to_guardian: "Un incidente de seguridad afecta a datos de un menor a su cargo.",
        happened: "Qué ha ocurrido",
        effects: "Qué consecuencias puede tener",
        measures: "Qué hemos hecho y haremos",
        advice: "Qué puede hacer usted",
        remedies: "Qué ofrecemos",
        contact: "Sus preguntas",
        complain: "También puede reclamar ante la autoridad de protección de datos de su país.",
        end: "Nuestro servicio ha terminado. Ya no recogemos datos sobre usted y borramos o anonimizamos los que tenemos; lo \
              que una ley nos obliga a conservar no sirve para nada más.",
        end_guardian: "Nuestro servicio ha terminado. Ya no recogemos datos del menor a su cargo y borramos o anonimizamos \
                       los que tenemos; lo que una ley nos obliga a conservar no sirve para nada más.",
    },
    Words {
        language: "it",
        to_you: "Un incidente di sicurezza riguarda dati che La riguardano.",
        to_guardian: "Un incidente di sicurezza riguarda i dati di un minore a Lei affidato.",
        happened: "Che cosa è successo",
        effects: "Che cosa può derivarne",
        measures: "Che cosa abbiamo fatto e faremo",
        advice: "Che cosa può fare Lei",
        remedies: "Che cosa offriamo",
        contact: "Le Sue domande",
        complain: "Può anche rivolgersi all'autorità di protezione dei dati del Suo Paese.",
        end: "Il nostro servizio è cessato. Non raccogliamo più dati su di Lei e cancelliamo o rendiamo anonimi quelli in \
              nostro possesso; ciò che una legge ci impone di conservare non serve ad altro.",
        end_guardian: "Il nostro servizio è cessato. Non raccogliamo più dati sul minore a Lei affidato e cancelliamo o \
                       rendiamo anonimi quelli in nostro possesso; ciò che una legge ci impone di conservare non serve ad \
                       altro.",
    },
    Words {
        language: "nl",
        to_you: "Een beveiligingsincident betreft gegevens over u.",
        to_guardian: "Een beveiligingsincident betreft gegevens over een kind dat aan uw zorg is toevertrouwd.",
        happened: "Wat er is gebeurd",
        effects: "Wat het gevolg kan zijn",
        measures: "Wat wij hebben gedaan en zullen doen",
        advice: "Wat u kunt doen",
        remedies: "Wat wij aanbieden",
        contact: "Uw vragen",
        complain: "U kunt ook een klacht indienen bij de toezichthouder op gegevensbescherming van uw land.",
        end: "Onze dienst is beëindigd. Wij verzamelen geen gegevens meer over u en wissen of anonimiseren wat wij hebben; \
              wat wij volgens de wet moeten bewaren, dient geen ander doel.",
        end_guardian: "Onze dienst is beëindigd. Wij verzamelen geen gegevens meer over het kind dat aan uw zorg is \
                       toevertrouwd en wissen of anonimiseren wat wij hebben; wat wij volgens de wet moeten bewaren, dient \
                       geen ander doel.",
    },
    Words {
        language: "pt",
        to_you: "Um incidente de segurança afeta dados sobre si.",
        to_guardian: "Um incidente de segurança afeta dados de um menor a seu cargo.",
        happened: "O que aconteceu",
        effects: "O que pode resultar",
        measures: "O que fizemos e faremos",
        advice: "O que pode fazer",
        remedies: "O que oferecemos",
        contact: "As suas perguntas",
        complain: "Pode também reclamar junto da autoridade de proteção de dados do seu país.",
        end: "O nosso serviço terminou. Já não recolhemos dados sobre si e apagamos ou anonimizamos os que temos; o que uma \
              lei nos obriga a guardar não serve para mais nada.",
        end_guardian: "O nosso serviço terminou. Já não recolhemos dados do menor a seu cargo e apagamos ou anonimizamos os \
                       que temos; o que uma lei nos obriga a guardar não serve para mais nada.",
    },
    Words {
        language: "zh-Hans",
        to_you: "一起安全事件涉及您的个人信息。",
        to_guardian: "一起安全事件涉及您所监护的未成年人的个人信息。",
        happened: "事件的基本情况",
        effects: "可能造成的影响",
        measures: "我们已采取和将采取的措施",
        advice: "您可以采取的措施",
        remedies: "补救措施",
        contact: "联系我们",
        complain: "您也可以向有关主管部门投诉、举报。",
        end: "我们的服务已经终止。我们不再收集您的个人信息，并将删除所持有的信息或者作匿名化处理；法律要求保存的，不作其他用途。",
        end_guardian: "我们的服务已经终止。我们不再收集您所监护的未成年人的个人信息，并将删除所持有的信息或者作匿名化处理；\
                       法律要求保存的，不作其他用途。",
    },
];

fn all() -> impl Iterator<Item = &'static Words> {
    std::iter::once(&ENGLISH).chain(&OTHERS)
}

/// The language of a country's notices; English where none here is spoken there.
pub(super) fn language_of(country: &str) -> &'static str {
    match country {
        "DE" | "AT" | "CH" | "LI" | "LU" => "de",
        "FR" | "MC" => "fr",
        "ES" | "MX" | "AR" | "CO" | "CL" | "PE" => "es",
        "IT" | "SM" => "it",
        "NL" | "BE" => "nl",
        "PT" | "BR" => "pt",
        "CN" => "zh-Hans",
        _ => "en",
    }
}

/// The notice of an incident.
pub(super) fn of_incident(incident: &v1::Incident, language: &str, to_guardian: bool) -> String {
    let words = all().find(|words| words.language == language).unwrap_or(&ENGLISH);
    let mut text = if to_guardian { words.to_guardian } else { words.to_you }.to_owned();
    let parts = [
        (words.happened, &incident.what_happened),
        (words.effects, &incident.possible_effects),
        (words.measures, &incident.measures),
        (words.advice, &incident.advice),
        (words.remedies, &incident.remedies),
        (words.contact, &incident.contact),
    ];
    for (title, part) in parts.into_iter().filter(|(_, part)| !part.is_empty()) {
        text.push_str(&format!("\n\n{title}: {part}"));
    }
    text.push_str(&format!("\n\n{}", words.complain));
    text
}

/// The notices that a service has ended.
pub(super) fn of_the_end(contact: &str) -> Vec<v1::NoticeText> {
    let each = |words: &'static Words| {
        [(false, words.end), (true, words.end_guardian)].map(|(to_guardian, end)| v1::NoticeText {
            language: words.language.to_owned(),
            to_guardian,
            text: format!("{end}\n\n{}: {contact}\n\n{}", words.contact, words.complain),
        })
    };
    all().flat_map(each).collect()
}

/// Whether some plausible age of the person is under 18.
pub(super) fn may_be_minor(contact: &Contact, now: Instant) -> bool {
    // Eighteen years have at most this many days.
    const DAYS: i64 = 18 * 365 + 5;
    let today = now.millis().div_euclid(86_400_000);
    contact.facts(None).ages.iter().any(|age| match age {
        Age::Years(years) => *years < 18,
        Age::BornOn(day) => today - i64::from(*day) < DAYS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_holds_every_text_of_the_incident_and_leaves_out_what_is_not_offered() {
        let incident = v1::Incident {
            what_happened: "A laptop was stolen.".to_owned(),
            possible_effects: "Unwanted calls.".to_owned(),
            measures: "It was wiped.".to_owned(),
            advice: "Be wary.".to_owned(),
            contact: "privacy@example.com".to_owned(),
            ..v1::Incident::default()
        };
        for words in all() {
            let text = of_incident(&incident, words.language, false);
            for part in ["A laptop was stolen.", "Unwanted calls.", "It was wiped.", "Be wary.", "privacy@example.com"]
            {
                assert!(text.contains(part), "{text}");
            }
            assert!(!text.contains(words.remedies) && text.ends_with(words.complain), "{text}");
            assert_ne!(text, of_incident(&incident, words.language, true));
        }
        assert_eq!(of_the_end("x").len(), 2 * all().count());
        assert!(["DE", "CN", "US", ""].iter().all(|country| all().any(|words| words.language == language_of(country))));
    }
}

//! The longer closed vocabularies: how a consent was captured, how an attempt went, what is offered, and so on.

use super::terms::{Term, terms};

terms! {
    /// Why a person may be contacted without consent: what laws name, and nothing else.
    ExemptionGround, "ground of an exemption" {
        /// A contract with the person.
        Contract = 1 "contract",
        /// A duty laid down by law.
        LegalDuty = 2 "legal_duty",
        /// Public health, or danger to life, health or property.
        Emergency = 3 "emergency",
        /// News or oversight in the public interest.
        News = 4 "news",
        /// Published by the person.
        SelfPublished = 5 "self_published",
        /// Lawfully published by others.
        LawfullyPublished = 6 "lawfully_published",
        /// Another law.
        OtherLaw = 7 "other_law",
        /// National security or defence.
        NationalSecurity = 8 "national_security",
        /// Public safety, public health or another major public interest.
        PublicInterest = 9 "public_interest",
        /// Criminal investigation to enforcement.
        CriminalJustice = 10 "criminal_justice",
        /// Safety of the service and its faults.
        ServiceSafety = 11 "service_safety",
        /// Statistics or research without names.
        Research = 12 "research",
    }
}

terms! {
    /// How a consent was captured.
    Method, "consent method" {
        /// A form on a web site, by an act of the person (an unticked box, a button).
        WebForm = 1 "web_form",
        /// On paper.
        Paper = 2 "paper",
        /// Spoken in a call.
        Voice = 3 "voice",
        /// A key pressed in a call.
        Keypress = 4 "keypress",
        /// A word sent by text.
        SmsKeyword = 5 "sms_keyword",
        /// A form, confirmed by a reply or link sent to the same number or address.
        DoubleOptIn = 6 "double_opt_in",
        /// A lead form inside a social network or advertisement.
        LeadForm = 7 "lead_form",
        /// A campaign's landing page.
        LandingPage = 8 "landing_page",
        /// Spoken or signed face to face.
        InPerson = 9 "in_person",
        /// Inside the seller's app.
        App = 10 "app",
        /// By e-mail.
        Email = 11 "email",
        /// The person gave the number in a context that concerns this contact.
        NumberGiven = 12 "number_given",
        /// Taken from a purchase or another relationship.
        Relationship = 13 "relationship",
        /// A number published by its holder for contacts of this kind.
        PublishedNumber = 14 "published_number",
        /// A box ticked in advance: never a consent.
        PreTickedBox = 15 "pre_ticked_box",
        /// No reaction to a request: never a consent.
        Silence = 16 "silence",
        /// Going on using a service after a notice: never a consent.
        ContinuedUse = 17 "continued_use",
        /// Some other way; say which in the evidence behind evidence_ref.
        Other = 18 "other",
    }
}

terms! {
    /// How an opt-out came in.
    OptOutSource, "opt-out source" {
        /// Spoken in a call.
        Phone = 1 "phone",
        /// A reply by text.
        TextReply = 2 "text_reply",
        /// On a web site.
        Web = 3 "web",
        /// In an app.
        App = 4 "app",
        /// By e-mail.
        Email = 5 "email",
        /// By letter.
        Post = 6 "post",
        /// Told to customer service, other than in a call of a campaign.
        CustomerService = 7 "customer_service",
        /// A key pressed or a word spoken to a machine.
        Ivr = 8 "ivr",
        /// Handed on by a regulator or court.
        Regulator = 9 "regulator",
        /// From a file of earlier opt-outs.
        Import = 10 "import",
        /// Noted by an agent at a dialer.
        Agent = 11 "agent",
        /// Face to face.
        InPerson = 12 "in_person",
        /// Reported by a carrier or gateway that blocked the number.
        Carrier = 13 "carrier",
        /// Handed on by another company that acts for the seller.
        Processor = 14 "processor",
        /// Through a request under data-protection law.
        RightsRequest = 15 "rights_request",
        /// Some other way.
        Other = 16 "other",
    }
}

terms! {
    /// How an attempt went.
    Outcome, "outcome" {
        /// Answered by a person; not known how far it went.
        Connected = 1 "connected",
        /// The person was spoken with about the subject; starts the cool-off of debt collection.
        Conversation = 2 "conversation",
        /// The person was reached and refused the offer or further contact.
        Refused = 3 "refused",
        /// Answered, and hung up before anything was said of the matter.
        HungUp = 4 "hung_up",
        /// Answered by somebody else than the person.
        WrongPerson = 5 "wrong_person",
        /// A message was left, or the call ended at an answering machine.
        Voicemail = 6 "voicemail",
        /// Rang unanswered.
        NoAnswer = 7 "no_answer",
        /// Busy: did not connect to the dialled number.
        Busy = 8 "busy",
        /// Out of service or not assigned: did not connect to the dialled number.
        NotInService = 9 "not_in_service",
        /// Answered, and dropped because no agent was free.
        Abandoned = 10 "abandoned",
        /// Handed to the network; delivery not known.
        Sent = 11 "sent",
        /// The network confirmed delivery.
        Delivered = 12 "delivered",
        /// The network could not deliver.
        Undelivered = 13 "undelivered",
        /// Refused or lost before it reached the person's network.
        Failed = 14 "failed",
        /// Never dialled or sent: releases the reservation.
        NotAttempted = 15 "not_attempted",
    }
}

terms! {
    /// What is offered, where a rule tells offers apart.
    OfferCategory, "offer category" {
        /// Something else than all below, asserted.
        Other = 1 "other",
        /// Books.
        Books = 2 "books",
        /// Subscriptions to newspapers, weeklies and magazines.
        PressSubscription = 3 "press_subscription",
        /// Insurance broking and other mediation of insurance.
        InsuranceMediation = 4 "insurance_mediation",
        /// Life insurance, sold by an insurer.
        LifeInsurance = 5 "life_insurance",
        /// Health insurance, sold by an insurer or broker.
        HealthInsurance = 6 "health_insurance",
        /// Subscriptions to rescue, breakdown or ambulance services.
        RescueSubscription = 7 "rescue_subscription",
        /// Energy saving, renewables, home adaptation to age or disability.
        EnergyRenovation = 8 "energy_renovation",
        /// Supply of electricity alone.
        Electricity = 9 "electricity",
        /// Supply of gas alone, or of electricity and gas together.
        EnergySupply = 10 "energy_supply",
        /// Courses paid from a public training account (the French CPF).
        TrainingAccount = 11 "training_account",
        /// Mobile telephone subscriptions.
        MobileSubscription = 12 "mobile_subscription",
        /// Other telecommunications and television services.
        Telecom = 13 "telecom",
        /// Pursuing claims for the person against a fee.
        ClaimsManagement = 14 "claims_management",
        /// Pension schemes.
        Pensions = 15 "pensions",
        /// Credit, accounts, cards and other financial products not named here.
        Finance = 16 "finance",
        /// Loans repaid from wages or pension (the Brazilian consignado).
        PayrollLoan = 17 "payroll_loan",
        /// Shares, bonds, funds and their dealers.
        Securities = 18 "securities",
        /// Land and buildings, sold or let.
        RealEstate = 19 "real_estate",
        /// Travel, hotels, timeshare.
        Tourism = 20 "tourism",
        /// Schooling and courses not paid from a training account.
        Education = 21 "education",
        /// Computer and other games.
        Games = 22 "games",
        /// Office and cleaning supplies, sold to a business.
        OfficeSupplies = 23 "office_supplies",
        /// A purchase for private life, pitched over a business line.
        PersonalPurchase = 24 "personal_purchase",
        /// A lottery run for charities.
        CharityLottery = 25 "charity_lottery",
        /// Gifts asked for by a fundraiser whom the charity pays.
        PaidFundraising = 26 "paid_fundraising",
        /// Goods, services or membership of a tax-exempt nonprofit, offered by itself or for it.
        Nonprofit = 27 "nonprofit",
        /// A message of a government or public authority.
        Government = 28 "government",
        /// A health-care message under the US privacy rule for health data (HIPAA).
        Hipaa = 29 "hipaa",
        /// Notice of a package's delivery, free to the person who receives it.
        PackageDelivery = 30 "package_delivery",
        /// A bank's alert of fraud, breach or a transfer, free to the person who receives it.
        BankAlert = 31 "bank_alert",
        /// Setting up or paying for an inmate's calls, free to the person who receives it.
        InmateService = 32 "inmate_service",
        /// A one-time code or another step of signing in.
        Authentication = 33 "authentication",
    }
}

terms! {
    /// The legal form of a recipient in trade.
    LegalForm, "legal form" {
        /// One natural person in trade, registered or not.
        SoleProprietor = 1 "sole_proprietor",
        /// A natural person in a liberal profession.
        Freelancer = 2 "freelancer",
        /// A partnership without legal personality (English partnership, Dutch VOF or maatschap).
        Partnership = 3 "partnership",
        /// A Scottish partnership: a legal person, protected as a company is in the United Kingdom.
        ScottishPartnership = 4 "scottish_partnership",
        /// A partnership whose partners' liability is limited, with legal personality (LLP).
        LimitedLiabilityPartnership = 5 "limited_liability_partnership",
        /// A company with legal personality, whatever its size.
        Company = 6 "company",
        /// A state, municipality or other body of public law.
        PublicBody = 7 "public_body",
        /// An association, foundation or charity.
        Nonprofit = 8 "nonprofit",
    }
}

terms! {
    /// What makes sending data abroad lawful.
    TransferMechanism, "transfer mechanism" {
        /// None.
        None = 1 "none",
        /// A security assessment passed before the authority.
        Assessment = 2 "assessment",
        /// A certification of personal-information protection.
        Certification = 3 "certification",
        /// The standard contract, filed where that is asked for.
        StandardContract = 4 "standard_contract",
        /// None needed: a contract with the person needs the transfer.
        Contract = 5 "contract",
        /// None needed: another exemption named by law.
        Exempt = 6 "exempt",
    }
}

impl Method {
    /// Whether this way of capture can be a consent at all: a pre-ticked box, silence or mere use never is (GDPR
    /// art. 4(11) and recital 32; PIPL art. 14).
    #[must_use]
    pub const fn can_consent(self) -> bool {
        !matches!(self, Self::PreTickedBox | Self::Silence | Self::ContinuedUse)
    }
}

impl LegalForm {
    /// Whether it is a natural person in trade or a partnership of such, without a legal personality of its own: protected
    /// as a person where the law protects persons (PECR 2003 reg. 2: "individual"; NL, SE and others).
    #[must_use]
    pub const fn is_of_persons(self) -> bool {
        matches!(self, Self::SoleProprietor | Self::Freelancer | Self::Partnership)
    }
}

import { language, languages, setLanguage, t, type Language } from '../words';
import { rememberLanguage } from '../shell';

export function LanguageSwitch() {
    return (
        <ul class="languages" aria-label={t('app.language')}>
            {Object.entries(languages).map(([code, name]) => (
                <li key={code}>
                    <button type="button" class="language" lang={code} aria-pressed={code === language()}
                        onClick={() => {
                            rememberLanguage(code as Language);
                            setLanguage(code as Language);
                        }}>
                        {name}
                    </button>
                </li>
            ))}
        </ul>
    );
}
